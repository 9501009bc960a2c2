#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/guard.h"
#include "model/policy.h"
#include "model/run_report.h"
#include "pipeline/findings.h"
#include "ports/history.h"

namespace heimdall {

// Which orphans a plan takes.
struct Selection {
  enum class Grace { respect, ignore } grace = Grace::respect;
  std::optional<std::uint64_t> limit;  // the oldest so many
};

// How many objects and bytes the selection takes of the findings, before `limit`.
struct Selected {
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;
};
Selected selected(const Findings& findings, const Selection& selection);

// Clocks that differ by more are believed by nobody: the store's and ours, or ours now and at the last run.
inline constexpr std::chrono::minutes kMaxClockSkew{5};

struct JudgeInput {
  const Findings& findings;
  const BucketPolicy& policy;
  const std::optional<Baseline>& baseline;
  Selection selection;
  Timestamp now{};                        // our clock
  std::chrono::nanoseconds clock_skew{};  // the worst of: store against us, wall clock against boot clock since the last run
  std::optional<std::uint64_t> planned_bytes = std::nullopt;  // what the selection's limit leaves; unset: it leaves all
};

// Every guard of the table in docs/design.md against the findings: the refusals, in the order of Guard. Pure.
std::vector<Refusal> judge(const JudgeInput& input);

// What judge() compares the next run with.
Baseline baseline_of(const Findings& findings, Timestamp now);

// The parts that apply judges again, against what the plan saw. `planned` and `now_seen` are of one source.
std::vector<Refusal> judge_source_again(const std::string& bucket, const SourcePolicy& source, const GuardLimits& limits,
                                        const SourceFacts& planned, const SourceFacts& now_seen, Timestamp now);

// How far the wall clock stepped against the boot clock since `anchor` was taken; zero without one. After a reboot only a step back shows.
std::chrono::nanoseconds clock_step(const std::optional<ClockAnchor>& anchor, const Clock& clock);

}  // namespace heimdall
