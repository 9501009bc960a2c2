#include "pipeline/dangling.h"

#include <unordered_set>

#include "base/format.h"

namespace heimdall {

namespace {

class DanglingSink final : public RowSink {
 public:
  DanglingSink(ObjectReader& store, const SourcePolicy& policy, const ReferenceSnapshot& snapshot,
               const std::function<Result<void>(const DanglingReference&)>& visit)
      : store_(store), policy_(policy), snapshot_(snapshot), visit_(visit) {}

  Result<void> add(std::span<const ReferenceRow> rows) override {
    for (const ReferenceRow& row : rows) {
      map_reference(policy_.mapping, row, mapped_);
      if (mapped_.kind != Mapped::Kind::this_bucket || policy_.mapping.as == KeyForm::prefix) continue;
      const std::uint64_t fingerprint = snapshot_.fingerprinter()(mapped_.primary);
      if (!snapshot_.is_dangling(fingerprint) || !seen_.insert(fingerprint).second) continue;
      auto head = store_.head(ObjectKey(mapped_.primary));
      if (head) continue;  // it has come into being since
      if (head.error().code != ErrorCode::not_found) return head.error();
      TRY(visit_({policy_.name, row.value, mapped_.primary}));
    }
    return {};
  }

 private:
  ObjectReader& store_;
  const SourcePolicy& policy_;
  const ReferenceSnapshot& snapshot_;
  const std::function<Result<void>(const DanglingReference&)>& visit_;
  Mapped mapped_;
  std::unordered_set<std::uint64_t> seen_;
};

}  // namespace

Result<void> visit_dangling(ObjectReader& store, std::span<const SourceBinding> sources,
                            const ReferenceSnapshot& snapshot,
                            const std::function<Result<void>(const DanglingReference&)>& visit, std::stop_token stop) {
  for (const SourceBinding& binding : sources) {
    if (!binding.source->can_read_again()) {
      return Error{ErrorCode::invalid_argument,
                   format("references '{}' cannot be read a second time, so its dangling references cannot be named",
                          binding.policy->name), "write the list to a file and name that"};
    }
    DanglingSink sink(store, *binding.policy, snapshot, visit);
    auto summary = binding.source->read(sink, stop);
    if (!summary) return with_context(summary.error(), format("references '{}'", binding.policy->name));
  }
  return {};
}

}  // namespace heimdall
