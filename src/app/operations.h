#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "app/workspace.h"
#include "base/error.h"
#include "pipeline/plan.h"
#include "pipeline/run.h"

// What a run does with a workspace, for the command line and the service alike. Each operation is one run under the id, command and trigger of its context.
// `outcome.report` is complete however it ended, and in the history, with one exception: a plan of somebody's own that carry_out() did not take. What is
// written for people on the way goes to the context's progress.

namespace heimdall {

struct CleanupRequest {
  Selection selection;
  RunReport::DryRun dry_run = RunReport::DryRun::no;
  // Asked between the scan and the sweep, with a plan that has candidates and is there only meanwhile. An error ends the run with it: nothing was deleted.
  // Empty: the configuration is the approval.
  std::function<Result<void>(const Plan& plan, const RunOutcome& scanned)> approve = {};
};

// Scans the workspace's buckets, plans what their modes allow and carries it out, as one run. The outcome (and the history) holds the buckets that were only
// looked at, too. Guards of buckets that it may not sweep refuse nothing: they are in
// `overridden`, and a warning. What earlier runs left in doubt in the workspace's buckets is looked up before anything else, also if nothing is due then.
RunOutcome cleanup(Workspace& workspace, const CleanupRequest& request, RunContext& context);

// Carries out a plan that somebody made before: recover the workspace's other buckets -> approve -> hold -> recover -> sweep. `outcome.error` at Stage::approving if it may not be, with
// failed_precondition (stale, used, made under another configuration), corrupt, or not_approved (the mode of a bucket); then no run is in the history.
RunOutcome carry_out(Workspace& workspace, Plan plan, RunContext& context);

// The same up to the hold, and whether each bucket is the one that the plan was made for: nothing is held, looked up, deleted or marked as used. The report
// has the figures of the plan. Errors as of carry_out(), and `locked`.
RunOutcome rehearse(Workspace& workspace, Plan plan, RunContext& context);

// A scan of the workspace's buckets, as requested. invalid_argument at Stage::opening if two of them overlap.
RunOutcome scan_buckets(Workspace& workspace, const ScanRequest& request, RunContext& context);

// A scan for its figures: guards that refuse are in `overridden`, not in `refusals`; they decide about deletions, not about statistics. The first of them is
// in the report's `error`, though.
RunOutcome take_stats(Workspace& workspace, RunContext& context);

// A scan that writes a plan of the buckets in any mode to `path`.
RunOutcome make_plan(Workspace& workspace, const std::filesystem::path& path, const Selection& selection, RunContext& context);

// An outcome that is nothing but this error, and the status that goes with it.
RunOutcome ended_with(Error error);

// Invariant 6: what is in doubt is looked up before anything else happens to it.
Error still_in_doubt(std::uint64_t objects);

}  // namespace heimdall
