#include "daemon/perform.h"

#include <exception>
#include <utility>

#include "app/operations.h"
#include "app/recover_doubts.h"
#include "app/workspace.h"
#include "base/format.h"
#include "base/text.h"
#include "daemon/logged_journal.h"
#include "pipeline/sweep/recover.h"

namespace heimdall {

namespace {

RunOutcome carry_out_file(Workspace& workspace, const RunRequest& request, RunContext& context) {
  auto plan = Plan::open(request.plan);
  if (!plan) return ended_with(std::move(plan).error());
  if (!request.plan_digest.empty() && plan->digest() != request.plan_digest) {
    return ended_with({ErrorCode::failed_precondition, format("'{}' is not the plan that was approved", request.plan.string()), "look at it again, and approve what you see"});
  }
  return carry_out(workspace, std::move(*plan), context);
}

RunOutcome recover(Workspace& workspace, RunContext& context) {
  const auto report = recover_doubts(workspace, context);
  if (!report) return ended_with(report.error());
  if (!report->settled.empty()) context.progress.warn(format("{} that earlier runs left in doubt: looked up; see `runs`", count_of(report->settled.size(), "object")));
  if (auto error = report->error()) return ended_with(std::move(*error));
  RunOutcome outcome;
  outcome.report.status = RunStatus::success;
  return outcome;
}

RunOutcome plan_to_file(Workspace& workspace, const RunRequest& request, RunContext& context) {
  std::filesystem::path path = request.plan;
  if (path.empty()) {
    auto folder = workspace.directory().plans();
    if (!folder) return ended_with(std::move(folder).error());
    path = *folder / (context.run_id + ".plan");
  }
  return make_plan(workspace, path, request.selection, context);
}

RunOutcome do_task(Workspace& workspace, const RunRequest& request, RunContext& context) {
  switch (request.task) {
    case Task::cleanup: return cleanup(workspace, {request.selection, request.dry_run}, context);
    case Task::stats: return take_stats(workspace, context);
    case Task::plan: return plan_to_file(workspace, request, context);
    case Task::apply: return carry_out_file(workspace, request, context);
    case Task::recover: return recover(workspace, context);
  }
  return ended_with({ErrorCode::internal, "there is no such task"});
}

// One run, from the opening of its workspace to its line in the history.
class Performance {
 public:
  Performance(const PerformTools& tools, const RunRequest& request, const std::string& run_id, Progress& progress, std::stop_token stop)
      : tools_(tools), request_(request), run_id_(run_id), progress_(progress), stop_(std::move(stop)), started_at_(tools.clock.now()) {}

  RunOutcome run() {
    if (auto ready = tools_.ready ? tools_.ready() : Result<void>(); !ready) return kept(ended_with(std::move(ready).error()), tools_.history);
    note_beginning();
    const std::shared_ptr<const Config> config = tools_.config();
    auto workspace = Workspace::open(*config, request_.buckets, tools_.clock, &tools_.traffic, stop_);
    if (!workspace) return kept(ended_with(std::move(workspace).error()), tools_.history);
    for (const std::string& warning : (*workspace)->warnings()) progress_.warn(warning);
    RunOutcome outcome = run_in(**workspace);
    // Every other run wrote its report itself.
    const bool is_missing = outcome.report.run_id.empty() || outcome.stage == RunOutcome::Stage::approving;
    return is_missing ? kept(std::move(outcome), (*workspace)->state()) : std::move(outcome);
  }

 private:
  // A process that is killed while a store hangs leaves a run that was interrupted, not one that never was.
  void note_beginning() {
    if (request_.task == Task::recover) return;
    RunReport report;
    report.run_id = run_id_;
    report.command = to_string(request_.task);
    report.trigger = request_.trigger;
    report.dry_run = request_.dry_run == RunReport::DryRun::yes;
    report.started_at = started_at_;
    if (auto saved = tools_.history.save_run(report); !saved) progress_.warn(format("the run is not in the history yet: {}", saved.error().message));
  }

  // A run that memory was not enough for, say, says how far it came: its figures are gone with it.
  RunOutcome run_in(Workspace& workspace) {
    LoggedJournal journal(workspace.state(), tools_.log, tools_.deletions);
    RunContext context{run_id_, std::string(to_string(request_.task)), workspace.state(), tools_.clock, progress_, stop_, request_.accepted};
    context.trigger = request_.trigger;
    context.journal = &journal;
    std::string thrown;
    try {
      return do_task(workspace, request_, context);
    } catch (const std::exception& exception) {
      thrown = exception.what();
    }
    RunOutcome outcome = ended_with({ErrorCode::internal, format("the run broke off ({}) after {}", thrown, count_of(journal.deleted(), "deletion")),
                                     "the journal has them all: `runs show`"});
    RunReport counted;
    counted.run_id = run_id_;
    if (auto done = count_deletions(counted, workspace.state()); !done) progress_.warn(format("what it deleted could not be counted: {}", done.error().message));
    outcome.report.buckets = std::move(counted.buckets);
    return outcome;
  }

  RunOutcome kept(RunOutcome outcome, History& history) {
    complete(outcome.report, request_, run_id_, started_at_, tools_.clock.now());
    if (request_.task == Task::recover) return outcome;
    if (auto saved = history.save_run(outcome.report); !saved) {
      progress_.warn(format("the run is not in the history: {}", saved.error().message));
    }
    return outcome;
  }

  const PerformTools& tools_;
  const RunRequest& request_;
  const std::string& run_id_;
  Progress& progress_;
  const std::stop_token stop_;
  const Timestamp started_at_;
};

}  // namespace

PerformRun make_perform(PerformTools tools) {
  return [tools = std::move(tools)](const RunRequest& request, const std::string& run_id, Progress& progress, std::stop_token stop) {
    return Performance(tools, request, run_id, progress, std::move(stop)).run();
  };
}

}  // namespace heimdall
