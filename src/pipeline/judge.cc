#include "pipeline/judge.h"

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

using namespace std::chrono_literals;


std::string percent(double ratio) { return format("{:.1f} %", ratio * 100); }

double ratio_of(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::optional<Refusal> stale_list(const std::string& bucket, const SourcePolicy& policy, const SourceFacts& facts,
                                  Timestamp now) {
  if (!facts.as_of) return std::nullopt;
  const auto age = now - *facts.as_of;
  const auto refusal = [&](std::string message) {
    return Refusal{Guard::stale_list, bucket, std::chrono::duration<double>(age).count(),
                   std::chrono::duration<double>(policy.max_list_age).count(), std::move(message)};
  };
  if (age > policy.max_list_age) {
    return refusal(format("the list '{}' is {} old, the most is {}; write it anew", facts.name, human_duration(age), duration_text(policy.max_list_age)));
  }
  // What it lacks may have been written since, and nobody knows since when.
  if (age < -kMaxClockSkew) {
    return refusal(format("the list '{}' is said to be taken {} from now; correct its `taken_at`, or the clock of who wrote it", facts.name, human_duration(-age)));
  }
  return std::nullopt;
}

std::optional<Refusal> references_fell(const std::string& bucket, const GuardLimits& limits, const std::string& name,
                                       std::uint64_t was, std::uint64_t is, std::string_view since) {
  if (is >= was) return std::nullopt;
  const std::uint64_t fall = was - is;
  const double share = ratio_of(fall, was);
  if (share <= limits.max_references_fall || fall <= limits.max_references_fall_rows) return std::nullopt;
  return Refusal{Guard::references_fell, bucket, share, limits.max_references_fall,
                 format("references '{}' fell from {} to {} since {} ({}, the most is {}); is a part of the table "
                        "missing?", name, with_thousands(was), with_thousands(is), since, percent(share),
                        percent(limits.max_references_fall))};
}

// "come from another database than ...", if they do; `before` is who saw `was`.
std::optional<std::string> change_of(const SourceIdentity& was, const SourceIdentity& is, std::string_view before) {
  if (was.database != is.database) return format("come from another database than {} saw: '{}', it was '{}'", before, is.database, was.database);
  if (was.relations != is.relations) return format("are read from other tables than {} saw: '{}', it was '{}'", before, is.relations, was.relations);
  if (is.position < was.position) return format("come from an older state of the database than {} saw (restored from a backup?)", before);
  return std::nullopt;
}

// Gathers refusals; each guard is one method, in the order of the table.
class Judge {
 public:
  explicit Judge(const JudgeInput& input) : in_(input), limits_(input.policy.guards) {}

  std::vector<Refusal> run() && {
    identity_changed();
    for (std::size_t i = 0; i < in_.findings.sources.size(); ++i) {
      source_guards(in_.findings.sources[i], in_.policy.sources.at(i), in_.findings.source_hits.at(i));
    }
    clock_skew();
    unmapped_references();
    near_miss();
    unreferenced_class();
    orphan_ratio();
    size_limits();
    std::stable_sort(refusals_.begin(), refusals_.end(),
                     [](const Refusal& a, const Refusal& b) { return a.guard < b.guard; });
    return std::move(refusals_);
  }

 private:
  void refuse(Guard guard, double value, double limit, std::string message) {
    refusals_.push_back({guard, in_.findings.bucket, value, limit, std::move(message)});
  }

  const Baseline::Source* in_baseline(const std::string& name) const {
    if (!in_.baseline) return nullptr;
    const auto& sources = in_.baseline->sources;
    const auto at = std::find_if(sources.begin(), sources.end(), [&](const auto& s) { return s.name == name; });
    return at == sources.end() ? nullptr : &*at;
  }

  void identity_changed() {
    if (!in_.baseline) return;
    if (in_.baseline->bucket_identity != in_.findings.bucket_identity) {
      refuse(Guard::identity_changed, 1, 0,
             format("this is another bucket than in the last good run: '{}', it was '{}'; check what is mounted there",
                    in_.findings.bucket_identity, in_.baseline->bucket_identity));
    }
    for (const Baseline::Source& known : in_.baseline->sources) {
      const auto& sources = in_.findings.sources;
      const auto at =
          std::find_if(sources.begin(), sources.end(), [&](const SourceFacts& s) { return s.name == known.name; });
      if (at == sources.end()) {
        refuse(Guard::identity_changed, 1, 0,
               format("the references '{}' of the last good run are gone from the configuration; put them back unless "
                      "their objects may be deleted", known.name));
      } else {
        source_identity(known, *at);
      }
    }
  }

  void source_identity(const Baseline::Source& known, const SourceFacts& facts) {
    if (const auto change = change_of(known.identity, facts.identity, "the last good run")) {
      refuse(Guard::identity_changed, 1, 0, format("references '{}' {}", facts.name, *change));
    }
  }

  void source_guards(const SourceFacts& facts, const SourcePolicy& policy, std::uint64_t hits) {
    if (facts.partial) {
      refuse(Guard::partial_query, 1, 0,
             format("references '{}' cannot be all there are: {}; take it out of the query", facts.name, *facts.partial));
    }
    if (auto refusal = stale_list(in_.findings.bucket, policy, facts, in_.now)) refusals_.push_back(std::move(*refusal));
    // Rows that all name other buckets, or keys outside the prefixes, are an empty answer, too (invariant 2).
    if (facts.distinct_keys == 0 && !policy.may_be_empty) {
      refuse(Guard::no_references, 0, 1,
             format("references '{}' yield no key of this bucket ({}); check the query and the mapping, or set may_be_empty: "
                    "true on it", facts.name, count_of(facts.rows, "row")));
    }
    if (const Baseline::Source* known = in_baseline(facts.name)) {
      if (auto refusal = references_fell(in_.findings.bucket, limits_, facts.name, known->rows, facts.own(), "the last good run")) {
        refusals_.push_back(std::move(*refusal));
      }
    }
    const double rate = ratio_of(hits, facts.distinct_keys);
    if (facts.distinct_keys > 0 && rate < policy.min_match_rate) {
      refuse(Guard::match_rate, rate, policy.min_match_rate,
             format("only {} of {} of '{}' hit an object ({}, the least is {}); the mapping may be wrong: see "
                    "`doctor`{}", with_thousands(hits), count_of(facts.distinct_keys, "reference"), facts.name, percent(rate),
                    percent(policy.min_match_rate),
                    in_.findings.complete() ? "" : ", and a part of the bucket could not be listed"));
    }
  }

  void clock_skew() {
    const auto skew = in_.clock_skew < 0ns ? -in_.clock_skew : in_.clock_skew;
    if (skew <= kMaxClockSkew) return;
    refuse(Guard::clock_skew, std::chrono::duration<double>(skew).count(), 300,
           format("clocks disagree by {} (this machine's against the store's, or against itself since the last run), the "
                  "most is 5 min; set the clock right", human_duration(skew)));
  }

  void unmapped_references() {
    const std::uint64_t unmapped = in_.findings.figures.unmapped_references;
    if (unmapped <= limits_.max_unmapped) return;
    std::string examples;
    for (const SourceFacts& facts : in_.findings.sources) {
      if (facts.unmapped_examples.empty()) continue;
      examples += format("{}e.g. {}", examples.empty() ? "" : ", ", facts.unmapped_examples.front());
    }
    refuse(Guard::unmapped_references, static_cast<double>(unmapped), static_cast<double>(limits_.max_unmapped),
           format("{} cannot be mapped to a key or {} a bucket configured nowhere: {}; correct `as:`, base_urls or "
                  "ignore_buckets", count_of(unmapped, "reference"), unmapped == 1 ? "names" : "name", examples));
  }

  void near_miss() {
    const std::uint64_t near = in_.findings.figures.near_misses;
    if (near <= limits_.max_near_misses) return;
    refuse(Guard::near_miss, static_cast<double>(near), static_cast<double>(limits_.max_near_misses),
           format("{} differ from a dangling reference only by case, Unicode form, blanks, slashes or percent-encoding "
                  "(e.g. '{}'); the mapping may be wrong. They are kept in any case",
                  count_of(near, "orphan"), printable(in_.findings.near_miss_examples.empty() ? "" : in_.findings.near_miss_examples.front())));
  }

  void unreferenced_class() {
    for (const UnreferencedClass& found : in_.findings.unreferenced_classes) {
      refuse(Guard::unreferenced_class, static_cast<double>(found.objects),
             static_cast<double>(limits_.max_unreferenced_class),
             format("not one of the {} '{}' is referenced or protected; is there a table that nobody configured? Add its "
                    "references, or companions", count_of(found.objects, "object"), printable(found.name)));
    }
  }

  void orphan_ratio() {
    const std::uint64_t due = selected(in_.findings, in_.selection).objects;
    const double ratio = ratio_of(due, in_.findings.figures.total_objects);
    if (ratio <= limits_.max_orphan_ratio) return;
    refuse(Guard::orphan_ratio, ratio, limits_.max_orphan_ratio,
           format("{} of {} are due ({}, the most is {}); if that is right, accept it for this plan",
                  with_thousands(due), count_of(in_.findings.figures.total_objects, "object"), percent(ratio),
                  percent(limits_.max_orphan_ratio)));
  }

  void size_limits() {
    Selected take = selected(in_.findings, in_.selection);
    take.objects = std::min(take.objects, in_.selection.limit.value_or(take.objects));
    take.bytes = in_.planned_bytes.value_or(take.bytes);
    if (limits_.max_deletes && take.objects > *limits_.max_deletes) {
      refuse(Guard::max_deletes, static_cast<double>(take.objects), static_cast<double>(*limits_.max_deletes),
             format("the plan would delete {}, the most is {}; use --limit to take the oldest", count_of(take.objects, "object"),
                    with_thousands(*limits_.max_deletes)));
    }
    if (limits_.max_bytes && take.bytes > *limits_.max_bytes) {
      refuse(Guard::max_bytes, static_cast<double>(take.bytes), static_cast<double>(*limits_.max_bytes),
             format("the plan would delete {}, the most is {}; use --limit to take the oldest", human_bytes(take.bytes), human_bytes(*limits_.max_bytes)));
    }
  }

  const JudgeInput& in_;
  const GuardLimits& limits_;
  std::vector<Refusal> refusals_;
};

}  // namespace

Selected selected(const Findings& findings, const Selection& selection) {
  const BucketFigures& f = findings.figures;
  if (selection.grace == Selection::Grace::respect) return {f.due_objects, f.due_bytes};
  return {f.due_objects + f.in_grace_objects, f.due_bytes + f.in_grace_bytes};
}

std::vector<Refusal> judge(const JudgeInput& input) { return Judge(input).run(); }

Baseline baseline_of(const Findings& findings, Timestamp now) {
  Baseline baseline{findings.bucket_identity, {}, now};
  for (const SourceFacts& facts : findings.sources) {
    baseline.sources.push_back({facts.name, facts.identity, facts.own()});
  }
  return baseline;
}

std::vector<Refusal> judge_source_again(const std::string& bucket, const SourcePolicy& source, const GuardLimits& limits,
                                        const SourceFacts& planned, const SourceFacts& now_seen, Timestamp now) {
  std::vector<Refusal> refusals;
  if (const auto change = change_of(planned.identity, now_seen.identity, "the plan")) {
    refusals.push_back({Guard::identity_changed, bucket, 1, 0, format("references '{}' {}; make a new plan", planned.name, *change)});
  }
  if (auto refusal = stale_list(bucket, source, now_seen, now)) refusals.push_back(std::move(*refusal));
  if (now_seen.partial && !planned.partial) {
    refusals.push_back({Guard::partial_query, bucket, 1, 0,
                        format("references '{}' cannot be all there are any more: {}; make a new plan", planned.name, *now_seen.partial)});
  }
  // A plan that was accepted without a key of this bucket may be carried out without one.
  const bool lost_all = now_seen.own() == 0 || (now_seen.distinct_keys == 0 && planned.distinct_keys > 0);
  if (lost_all && !source.may_be_empty) {
    refusals.push_back({Guard::no_references, bucket, 0, 1,
                        format("references '{}' now yield no key of this bucket, the plan saw {}; check the database", planned.name,
                               with_thousands(planned.distinct_keys))});
  }
  if (auto refusal = references_fell(bucket, limits, planned.name, planned.own(), now_seen.own(), "the plan")) {
    refusals.push_back(std::move(*refusal));
  }
  return refusals;
}

std::chrono::nanoseconds clock_step(const std::optional<ClockAnchor>& anchor, const Clock& clock) {
  if (!anchor) return std::chrono::nanoseconds(0);
  const auto wall = clock.now() - anchor->wall;
  if (anchor->boot_id == clock.boot_id()) return wall - (clock.boot_now() - anchor->boot_time);
  return std::min(wall, std::chrono::nanoseconds(0));
}

}  // namespace heimdall
