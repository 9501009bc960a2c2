#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/run_report.h"
#include "pipeline/approve.h"
#include "pipeline/plan.h"
#include "pipeline/references/snapshot.h"
#include "ports/history.h"
#include "ports/journal.h"
#include "ports/object_store.h"
#include "ports/progress.h"

namespace heimdall {

// What every run needs; borrowed.
struct RunContext {
  std::string run_id;
  std::string command;
  History& history;
  Clock& clock;
  Progress& progress;
  std::stop_token stop;
  std::vector<Guard> accepted;  // guards overridden by name for this run
  std::optional<Timestamp> started_at = std::nullopt;  // an apply that goes on after its own scan: when that began
  std::string trigger = {};                            // what asked for it; see RunReport
  JournalLog* journal = nullptr;                       // the caller's, around that of the state; nullptr: that of the state
};

// One bucket to look at. There is nothing here that could change it.
struct ScanTarget {
  ObjectReader& store;
  const BucketPolicy& policy;
  std::span<const SourceBinding> sources;
  std::filesystem::path ledger;
  std::filesystem::path scratch;
};

// One bucket to sweep.
struct ApplyTarget {
  ObjectStore& store;
  const BucketPolicy& policy;
  std::span<const SourceBinding> sources;
  std::filesystem::path scratch;
  std::span<SourceHold* const> holds = {};
};

// How a run ended: its report is also in the history.
struct RunOutcome {
  RunReport report;
  std::vector<Refusal> refusals;    // guards that refused
  std::vector<Refusal> overridden;  // guards that would have refused and were accepted, or have no say in this run
  std::vector<RangeFailure> unlisted;
  std::optional<Error> error;       // why the run failed or ended early
  std::optional<Plan> plan;         // scan runs that were asked for one
  // Where `error` ended it.
  enum class Stage {
    opening,    // the buckets could not be told apart or reached
    approving,  // the plan may not be carried out
    holding,    // a bucket could not be held, or is in doubt
    running,
  };
  Stage stage = Stage::running;
};

struct ScanRequest {
  Selection selection;
  std::optional<std::filesystem::path> plan_path;  // write a plan there if no guard refuses
  std::vector<Mode> planned_modes = {Mode::report, Mode::remove};  // only buckets in one of these enter the plan
  // Whose guards refuse the run: of a run that sweeps only what it plans, the others have no say. Their ledgers and baselines do not move on, though.
  enum class GuardsOf { all, planned } guards_of = GuardsOf::all;
  RunReport::DryRun dry_run = RunReport::DryRun::no;
  // Called for each bucket that was scanned completely, while its snapshot is there.
  std::function<Result<void>(const ScanTarget&, const ReferenceSnapshot&)> on_scanned;
};

// snapshot -> scan -> judge (-> plan) for each bucket. Changes nothing in stores or databases; moves ledgers forward for complete scans, and
// baselines where no guard refused. Any error ends the run (invariant 2); all buckets are judged before a plan is written.
RunOutcome run_scan(std::span<const ScanTarget> targets, const ScanRequest& request, RunContext& context);

// approve -> sweep for each bucket of the plan. `targets` are those of the plan's buckets, in its order, each held by the caller and
// recovered. The plan counts as used from its first intent on, or once all of it was looked at: what is left needs a new plan. One that a
// guard, a busy database or a lock turned away before can be tried again.
RunOutcome run_apply(const ApprovedPlan& approved, std::span<const ApplyTarget> targets, JournalLog& journal,
                     RunContext& context);

}  // namespace heimdall
