#include "pipeline/dangling.h"

#include <algorithm>
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
      if (mapped_.kind == Mapped::Kind::this_bucket) TRY(visit_({policy_.name, row.value, mapped_.primary, row.bucket}));
    }
    return {};
  }

 private:
  const SourcePolicy& policy_;
  const std::function<Result<void>(const KeyReference&)>& visit_;
  Mapped mapped_;
};

// Looks up all that a row may mean. Of fingerprints it remembers what was found, so a collision can only leave a row out.
class Lookup {
 public:
  Lookup(ObjectReader& store, const ReferenceSnapshot& snapshot) : store_(store), snapshot_(snapshot) {}

  // Whether an object exists that `reference` may mean, or nobody can know.
  Result<bool> may_find(const MappingRules& rules, const KeyReference& reference) {
    map_reference(rules, {reference.value, reference.bucket}, mapped_);
    if (was_found(reference.key) || std::ranges::any_of(mapped_.protecting, [&](const std::string& key) { return was_found(key); })) return true;
    TRY_ASSIGN(bool found, finds(reference.key));
    for (auto key = mapped_.protecting.begin(); key != mapped_.protecting.end() && !found; ++key) {
      auto answer = finds(*key);
      // A name that this store cannot be asked for: unknown means keep.
      if (!answer && answer.error().code == ErrorCode::invalid_argument) answer = true;
      TRY_ASSIGN(found, std::move(answer));
    }
    return found;
  }

 private:
  bool was_found(std::string_view key) const { return found_.contains(snapshot_.fingerprinter()(key)); }

  Result<bool> finds(std::string_view key) {
    const auto head = store_.head(ObjectKey(std::string(key)));
    if (!head && head.error().code == ErrorCode::not_found) return false;
    if (!head) return head.error();
    found_.insert(snapshot_.fingerprinter()(key));
    return true;
  }

  ObjectReader& store_;
  const ReferenceSnapshot& snapshot_;
  std::unordered_set<std::uint64_t> found_;
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
  Lookup lookup(store, snapshot);
  for (const SourceBinding& binding : sources) {
    if (!binding.source->can_read_again()) {
      return Error{ErrorCode::invalid_argument,
                   format("references '{}' cannot be read a second time, so its dangling references cannot be named",
                          binding.policy->name), "write the list to a file and name that"};
    }
    MappingRules rules = binding.policy->mapping;
    rules.companions.clear();
    std::unordered_set<std::uint64_t> seen;
    const auto visit_once = [&](const KeyReference& reference) -> Result<void> {
      if (rules.as == KeyForm::prefix) return {};
      const std::uint64_t fingerprint = snapshot.fingerprinter()(reference.key);
      if (!snapshot.is_dangling(fingerprint) || seen.contains(fingerprint)) return {};
      TRY_ASSIGN(const bool may_be_there, lookup.may_find(rules, reference));
      if (may_be_there) return {};
      seen.insert(fingerprint);
      return visit(reference);
    };
    TRY(visit_references(binding, visit_once, stop));
  }
  return {};
}

}  // namespace heimdall
