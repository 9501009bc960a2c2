#include "pipeline/explain.h"

#include <algorithm>
#include <set>

#include "base/format.h"
#include "base/text.h"
#include "model/near_form.h"
#include "pipeline/listing/ledger.h"

namespace heimdall {

namespace {

// Finds the rows of one source that name a key, and those that nearly do.
class EvidenceSink final : public RowSink {
 public:
  EvidenceSink(const SourcePolicy& policy, const std::string& key) : policy_(policy), key_(key) { near_form(key, near_key_); }

  Result<void> add(std::span<const ReferenceRow> rows) override {
    for (const ReferenceRow& row : rows) add_row(row);
    return {};
  }

  std::vector<std::string> hits;              // values, at most 3, with how they name it
  std::uint64_t hit_count = 0;
  std::set<std::string> near_primaries;       // keys that differ only in their near form, at most kMaxNear

 private:
  static constexpr std::size_t kMaxNear = 1000;  // each costs a HEAD

  void add_row(const ReferenceRow& row) {
    map_reference(policy_.mapping, row, mapped_);
    const bool folder = policy_.mapping.as == KeyForm::prefix;
    const bool own = mapped_.kind == Mapped::Kind::this_bucket;
    std::string_view how;
    if (own && folder && key_.starts_with(mapped_.primary)) how = "the object lies below it";
    else if (own && !folder && mapped_.primary == key_) how = to_string(mapped_.shape);
    else if (std::find(mapped_.protecting.begin(), mapped_.protecting.end(), key_) != mapped_.protecting.end()) {
      how = "a companion or further meaning";
    }
    if (!how.empty()) {
      ++hit_count;
      if (hits.size() < 3) hits.push_back(format("'{}' ({})", printable(row.value), how));
    } else if (own && !folder && near_primaries.size() < kMaxNear) {
      near_form(mapped_.primary, near_);
      if (near_ == near_key_) near_primaries.insert(mapped_.primary);
    }
  }

  const SourcePolicy& policy_;
  const std::string& key_;
  std::string near_key_;
  std::string near_;
  Mapped mapped_;
};

class Explainer {
 public:
  Explainer(ObjectReader& store, std::span<const SourceBinding> sources, const BucketPolicy& policy,
            const std::filesystem::path& ledger, const std::string& key)
      : store_(store), sources_(sources), policy_(policy), ledger_(ledger), result_{policy.name, key, "", {}} {}

  Result<Explanation> run(std::stop_token stop) {
    TRY_ASSIGN(started_, store_.server_time());
    auto head = store_.head(ObjectKey(result_.key));
    const bool absent = !head && head.error().code == ErrorCode::not_found;
    if (!head && !absent) return head.error();
    if (absent) say("There is no such object in the store.");
    else describe(*head);
    TRY(ask_sources(stop));
    if (absent) decide("absent");
    else TRY(judge(*head));
    return std::move(result_);
  }

 private:
  void say(std::string sentence) { result_.reasons.push_back(std::move(sentence)); }
  void decide(std::string_view verdict) {
    if (result_.verdict.empty()) result_.verdict = verdict;
  }

  void describe(const ObjectMeta& object) {
    say(format("The object has {} and was last changed {}.", count_of(object.size_bytes, "byte"),
               object.last_modified ? rfc3339(*object.last_modified) + ", " +
                                          human_duration(started_ - *object.last_modified) + " ago"
                                    : std::string("at a time that the store cannot tell")));
  }

  Result<void> ask_sources(std::stop_token stop) {
    young_after_ = std::min(started_, started_ - policy_.min_age);
    for (const SourceBinding& binding : sources_) {
      EvidenceSink evidence(*binding.policy, result_.key);
      TRY_ASSIGN(const ReadSummary summary, read_whole(binding, evidence, stop));
      if (summary.as_of) young_after_ = std::min(young_after_, *summary.as_of);
      if (evidence.hit_count > 0) {
        referenced_ = true;
        std::string values;
        for (const std::string& hit : evidence.hits) values += (values.empty() ? "" : ", ") + hit;
        say(format("References '{}': {} of {} {} it: {}.", binding.policy->name, with_thousands(evidence.hit_count),
                   count_of(summary.rows, "row"), evidence.hit_count == 1 ? "names" : "name", values));
      } else {
        say(format("References '{}': none of {} names it.", binding.policy->name, count_of(summary.rows, "row")));
      }
      TRY(look_for_near_misses(evidence));
    }
    return {};
  }

  bool is_inside(std::string_view key) const {
    return std::any_of(policy_.prefixes.begin(), policy_.prefixes.end(), [&](const auto& p) { return key.starts_with(p); });
  }

  // A near miss counts only if the reference itself dangles, or lies where nobody looks.
  Result<void> look_for_near_misses(const EvidenceSink& evidence) {
    for (const std::string& near : evidence.near_primaries) {
      const bool listed = is_inside(near);
      if (listed) {
        auto head = store_.head(ObjectKey(near));
        if (head) continue;
        if (head.error().code != ErrorCode::not_found) return head.error();
      }
      near_miss_ = true;
      say(format("A row names '{}', which {} and differs from this key only by case, Unicode form, blanks, "
                 "slashes or percent-encoding.", printable(near),
                 listed ? "does not exist" : "lies outside the prefixes"));
    }
    return {};
  }

  Result<void> judge(const ObjectMeta& object) {
    const std::string& key = result_.key;
    if (referenced_) {
      say("It is referenced, so it is kept.");
      decide("referenced");
      return {};
    }
    if (!is_inside(key)) {
      return protect("It lies outside the prefixes of this bucket, so it is never touched.");
    }
    if (is_reserved_key(key)) return protect("It is one of our own files, which are never listed or planned.");
    for (const Glob& glob : policy_.protect) {
      if (glob.matches(key)) return protect(format("The pattern '{}' protects it.", glob.pattern()));
    }
    if (is_folder_marker(key, object.size_bytes)) return protect("It is a folder marker, and these are kept.");
    if (!object.last_modified) return protect("Its date is unknown, and unknown means keep.");
    if (near_miss_) return protect("It is kept because it may be the object that such a row means.");
    return judge_age(object);
  }

  Result<void> protect(std::string sentence) {
    say(std::move(sentence));
    decide("protected");
    return {};
  }

  Result<void> judge_age(const ObjectMeta& object) {
    if (*object.last_modified >= young_after_) {
      say(format("It is younger than min_age {} (or than a list of keys), so it is kept for now.",
                 duration_text(policy_.min_age)));
      decide("young");
      return {};
    }
    auto ledger = LedgerReader::open(ledger_);
    if (!ledger && ledger.error().code != ErrorCode::corrupt) return ledger.error();
    std::optional<Timestamp> first_seen;
    if (ledger) {
      TRY_ASSIGN(first_seen, ledger->first_seen(object));
    } else {
      say(format("The ledger of orphans cannot be used: {}. The next scan sets it aside and starts grace again.",
                 ledger.error().message));
    }
    if (!first_seen) {
      say("No complete scan has found it to be an orphan yet.");
      decide(policy_.grace > std::chrono::milliseconds(0) ? "in_grace" : "due");
      if (policy_.grace > std::chrono::milliseconds(0)) {
        say(format("Its grace of {} starts with the next scan.", duration_text(policy_.grace)));
      }
      return {};
    }
    const Timestamp ends = *first_seen + policy_.grace;
    say(format("It has been an orphan since {}; its grace of {} {} {}.", rfc3339(*first_seen), duration_text(policy_.grace),
               ends > started_ ? "ends" : "ended", rfc3339(ends)));
    decide(ends > started_ ? "in_grace" : "due");
    if (ends <= started_) {
      say(policy_.mode == Mode::remove ? "It is due: the next plan takes it."
                                       : "It is due, but the bucket is in `mode: report`, so it is only reported.");
    }
    return {};
  }

  ObjectReader& store_;
  std::span<const SourceBinding> sources_;
  const BucketPolicy& policy_;
  const std::filesystem::path& ledger_;
  Explanation result_;
  Timestamp started_{};
  Timestamp young_after_{};
  bool referenced_ = false;
  bool near_miss_ = false;
};

}  // namespace

Result<Explanation> explain(ObjectReader& store, std::span<const SourceBinding> sources, const BucketPolicy& policy,
                            const std::filesystem::path& ledger, const std::string& key, std::stop_token stop) {
  return Explainer(store, sources, policy, ledger, key).run(std::move(stop));
}

}  // namespace heimdall
