#include "pipeline/sweep/recheck.h"

#include <algorithm>
#include <unordered_map>

#include "base/format.h"
#include "base/ids.h"
#include "base/text.h"
#include "pipeline/judge.h"

namespace heimdall {

namespace {

// Maps the rows of a lookup and notes which of the batch's keys, and how many of the controls, they name.
class LookupSink final : public RowSink {
 public:
  LookupSink(const MappingRules& rules, std::span<const std::string_view> keys, std::span<const ReferenceControl> controls,
             std::span<std::uint8_t> referenced)
      : rules_(rules), controls_(controls), referenced_(referenced) {
    for (std::size_t i = 0; i < keys.size(); ++i) positions_.emplace(keys[i], i);
  }

  Result<void> add(std::span<const ReferenceRow> rows) override {
    for (const ReferenceRow& row : rows) {
      map_reference(rules_, row, mapped_);
      note(mapped_.primary);
      for (const std::string& key : mapped_.protecting) note(key);
      saw_control_ = saw_control_ || std::any_of(controls_.begin(), controls_.end(), [&](const ReferenceControl& control) {
                       return control.value == row.value;
                     });
    }
    return {};
  }

  bool saw_control() const { return saw_control_; }

 private:
  void note(std::string_view key) {
    if (const auto at = positions_.find(key); at != positions_.end()) referenced_[at->second] = 1;
  }

  const MappingRules& rules_;
  std::span<const ReferenceControl> controls_;
  std::span<std::uint8_t> referenced_;
  std::unordered_map<std::string_view, std::size_t> positions_;
  Mapped mapped_;
  bool saw_control_ = false;
};

bool any_control_came_back(const ReferenceSnapshot& snapshot, std::size_t source, const SourcePolicy& policy,
                           const SourceFacts& planned) {
  if (planned.controls.empty()) return true;
  // All rows named keys outside the prefixes, which a snapshot only counts.
  if (planned.distinct_keys == 0) {
    const SourceFacts& now_seen = snapshot.sources()[source];
    return now_seen.outside_prefixes + now_seen.distinct_keys > 0;
  }
  Mapped mapped;
  return std::any_of(planned.controls.begin(), planned.controls.end(), [&](const ReferenceControl& control) {
    ReferenceRow row{control.value, std::nullopt};
    if (control.bucket) row.bucket = *control.bucket;
    map_reference(policy.mapping, row, mapped);
    return snapshot.source_contains(source, mapped.primary);
  });
}

}  // namespace

Result<RecheckForm> recheck_form(const SourceBinding& binding) {
  if (!binding.source->can_read_again()) return RecheckForm::impossible;
  auto cost = binding.source->lookup_cost();
  if (!cost) return with_context(cost.error(), format("references '{}'", binding.policy->name));
  // A query of the user's own finds the spellings of a key, but not what lies below a prefix or beside another key.
  const MappingRules& rules = binding.policy->mapping;
  const bool finds_keys = binding.source->looks_up_keys() && rules.as != KeyForm::prefix && has_invertible_companions(rules);
  const bool look_up = *cost == LookupCost::indexed && (finds_keys || is_invertible(rules));
  return look_up ? RecheckForm::lookup : RecheckForm::whole;
}

Rechecker::Rechecker(std::span<const SourceBinding> sources, std::span<const SourceFacts> planned,
                     const BucketPolicy& policy, Clock& clock, RecheckOptions options, Progress& progress)
    : sources_(sources), planned_(planned), policy_(policy), clock_(clock), options_(std::move(options)),
      progress_(progress) {}

Refusal Rechecker::blind(std::size_t source) const {
  return Refusal{Guard::recheck_blind, policy_.name, 0, 1,
                 format("none of {} that the plan saw in '{}' came back when asked again, so its answers cannot be "
                        "believed; is it the right database? Make a new plan",
                        count_of(planned_[source].controls.size(), "reference"), planned_[source].name)};
}

// The plan itself was made for these data, so another identity, like blindness, is never overridden here.
bool Rechecker::is_accepted(Guard guard) const {
  return guard != Guard::identity_changed && guard != Guard::recheck_blind &&
         std::find(options_.accepted.begin(), options_.accepted.end(), guard) != options_.accepted.end();
}

Result<std::optional<Refusal>> Rechecker::begin(std::stop_token stop) {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    ReferenceSource& source = *sources_[i].source;
    TRY_ASSIGN(const RecheckForm form, recheck_form(sources_[i]));
    if (form == RecheckForm::impossible) {
      return Error{ErrorCode::invalid_argument,
                   format("references '{}' cannot be read a second time; standard input serves `scan` and `plan` only",
                          sources_[i].policy->name),
                   "write the list to a file and name that"};
    }
    if (auto waited = source.wait_for_writers(planned_[i].writers, options_.writer_patience, stop); !waited) {
      Error error = with_context(waited.error(), format("references '{}'", sources_[i].policy->name));
      if (error.code == ErrorCode::failed_precondition) error.code = ErrorCode::unavailable;
      return error;
    }
    (form == RecheckForm::lookup ? by_lookup_ : by_wave_).push_back(i);
    all.push_back(i);
  }
  return take_wave(all, stop);
}

Result<std::optional<Refusal>> Rechecker::take_wave(std::span<const std::size_t> sources, std::stop_token stop) {
  std::vector<SourceBinding> bindings;
  for (std::size_t i : sources) bindings.push_back(sources_[i]);
  const BootTime begun = clock_.boot_now();
  progress_.begin("recheck", policy_.name, std::nullopt);
  auto taken = take_snapshot(bindings, policy_.prefixes, options_.scratch, random_u64(), progress_, stop);
  progress_.end();
  TRY(taken);
  const auto duration = clock_.boot_now() - begun;
  Wave wave{std::move(*taken), begun + duration + options_.wave_extra};
  std::optional<Refusal> refusal = judge_wave(wave, sources);
  if (refusal) {
    wave_.reset();
    refused_ = refusal;
  } else {
    wave_ = std::move(wave);
  }
  return refusal;
}

std::optional<Refusal> Rechecker::judge_wave(const Wave& wave, std::span<const std::size_t> sources) const {
  for (std::size_t n = 0; n < sources.size(); ++n) {
    const std::size_t i = sources[n];
    for (Refusal& refusal : judge_source_again(policy_.name, *sources_[i].policy, policy_.guards, planned_[i],
                                               wave.snapshot.sources()[n], clock_.now())) {
      if (!is_accepted(refusal.guard)) return std::move(refusal);
    }
    if (!any_control_came_back(wave.snapshot, n, *sources_[i].policy, planned_[i])) return blind(i);
  }
  return std::nullopt;
}

Result<std::optional<Refusal>> Rechecker::look_up(std::size_t source, std::span<const std::string_view> keys,
                                                  RecheckVerdict& verdict, std::stop_token stop) {
  const MappingRules& rules = sources_[source].policy->mapping;
  const auto& controls = planned_[source].controls;
  std::vector<std::string> values;
  for (std::string_view key : keys) {
    auto spelled = spellings(rules, key);
    if (sources_[source].source->looks_up_keys()) {
      spelled.emplace_back(key);
      spelled.push_back(format("s3://{}/{}", rules.bucket, key));
    }
    std::move(spelled.begin(), spelled.end(), std::back_inserter(values));
  }
  for (const ReferenceControl& control : controls) values.push_back(control.value);
  const BootTime begun = clock_.boot_now();
  LookupSink sink(rules, keys, controls, verdict.referenced);
  TRY_ASSIGN(const ReadSummary summary, look_up_whole(sources_[source], values, sink, std::move(stop)));
  if (summary.partial && !planned_[source].partial && !is_accepted(Guard::partial_query)) {
    return std::optional(Refusal{Guard::partial_query, policy_.name, 1, 0,
                                 format("references '{}' cannot be all there are any more: {}; make a new plan", planned_[source].name, *summary.partial)});
  }
  const SourceIdentity& was = planned_[source].identity;
  const SourceIdentity& is = summary.identity;
  const bool other_data = is.database != was.database || is.relations != was.relations || is.position < was.position;
  if (other_data || (!controls.empty() && !sink.saw_control())) return std::optional(blind(source));
  verdict.valid_until = std::min(verdict.valid_until, begun + options_.window);
  return std::optional<Refusal>();
}

Result<RecheckVerdict> Rechecker::check(std::span<const std::string_view> keys, std::stop_token stop) {
  if (refused_) return RecheckVerdict{std::vector<std::uint8_t>(keys.size(), 0), {}, refused_};
  auto verdict = ask(keys, std::move(stop));
  if (verdict && verdict->refusal) refused_ = verdict->refusal;
  return verdict;
}

Result<RecheckVerdict> Rechecker::ask(std::span<const std::string_view> keys, std::stop_token stop) {
  RecheckVerdict verdict;
  verdict.referenced.assign(keys.size(), 0);
  verdict.valid_until = clock_.boot_now() + std::chrono::hours(24);
  if (!by_wave_.empty()) {
    if (!wave_ || clock_.boot_now() >= wave_->valid_until) {
      TRY_ASSIGN(verdict.refusal, take_wave(by_wave_, stop));
      if (verdict.refusal) return verdict;
    }
    verdict.valid_until = wave_->valid_until;
  }
  // The first wave holds the indexed sources, too: an old hit can only keep an object.
  if (wave_) {
    for (std::size_t i = 0; i < keys.size(); ++i) verdict.referenced[i] = wave_->snapshot.contains(keys[i]) ? 1 : 0;
  }
  for (std::size_t source : by_lookup_) {
    TRY_ASSIGN(verdict.refusal, look_up(source, keys, verdict, stop));
    if (verdict.refusal) return verdict;
  }
  return verdict;
}

}  // namespace heimdall
