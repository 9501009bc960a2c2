#pragma once

#include <functional>
#include <optional>
#include <string>

#include "app/workspace.h"
#include "pipeline/run.h"

// What a run does with a workspace, for the command line and the service alike.

namespace heimdall {

struct CleanupRequest {
  Selection selection;
  RunReport::DryRun dry_run = RunReport::DryRun::no;
  // Asked between the scan and the sweep, with a plan that has candidates. An error ends the run with it: nothing was deleted. Empty: the configuration is
  // the approval.
  std::function<Result<void>(const Plan& plan, const RunOutcome& scanned)> approve = {};
};

// Scans the workspace's buckets, plans what their modes allow and carries it out, as one run. The outcome (and the history) holds the buckets that were only
// looked at, too. What an earlier run left in doubt is looked up before anything is deleted.
RunOutcome cleanup(Workspace& workspace, const CleanupRequest& request, RunContext& context);

// Carries out a plan that somebody made before: approve -> hold -> recover -> sweep. `outcome.error` with failed_precondition or not_approved
// if it may not be; then no run is in the history.
RunOutcome carry_out(Workspace& workspace, Plan plan, RunContext& context);

// A scan for its figures: guards that refuse are in `overridden`, not in `refusals`; they decide about deletions, not about statistics.
RunOutcome take_stats(Workspace& workspace, RunContext& context);

// A scan that writes a plan of the buckets in any mode to `path`.
RunOutcome make_plan(Workspace& workspace, const std::filesystem::path& path, const Selection& selection, RunContext& context);

}  // namespace heimdall
