#include "pipeline/dangling.h"

#include <unordered_set>

#include "base/format.h"

namespace heimdall {

namespace {

class ReferenceSink final : public RowSink {
 public:
  ReferenceSink(const SourcePolicy& policy, const std::function<Result<void>(const KeyReference&)>& visit) : policy_(policy), visit_(visit) {}

  Result<void> add(std::span<const ReferenceRow> rows) override {
    for (const ReferenceRow& row : rows) {
      map_reference(policy_.mapping, row, mapped_);
      if (mapped_.kind == Mapped::Kind::this_bucket) TRY(visit_({policy_.name, row.value, mapped_.primary}));
    }
    return {};
  }

 private:
  const SourcePolicy& policy_;
  const std::function<Result<void>(const KeyReference&)>& visit_;
  Mapped mapped_;
};

}  // namespace

Result<void> visit_references(const SourceBinding& binding, const std::function<Result<void>(const KeyReference&)>& visit, std::stop_token stop) {
  ReferenceSink sink(*binding.policy, visit);
  TRY(read_whole(binding, sink, std::move(stop)));
  return {};
}

Result<void> visit_dangling(ObjectReader& store, std::span<const SourceBinding> sources,
                            const ReferenceSnapshot& snapshot,
                            const std::function<Result<void>(const KeyReference&)>& visit, std::stop_token stop) {
  for (const SourceBinding& binding : sources) {
    if (!binding.source->can_read_again()) {
      return Error{ErrorCode::invalid_argument,
                   format("references '{}' cannot be read a second time, so its dangling references cannot be named",
                          binding.policy->name), "write the list to a file and name that"};
    }
    std::unordered_set<std::uint64_t> seen;
    const auto visit_once = [&](const KeyReference& reference) -> Result<void> {
      if (binding.policy->mapping.as == KeyForm::prefix) return {};
      const std::uint64_t fingerprint = snapshot.fingerprinter()(reference.key);
      if (!snapshot.is_dangling(fingerprint) || !seen.insert(fingerprint).second) return {};
      const auto head = store.head(ObjectKey(std::string(reference.key)));
      if (head) return {};  // it has come into being since
      if (head.error().code != ErrorCode::not_found) return head.error();
      return visit(reference);
    };
    TRY(visit_references(binding, visit_once, stop));
  }
  return {};
}

}  // namespace heimdall
