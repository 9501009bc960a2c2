#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "app/operations.h"
#include "app/recover_doubts.h"
#include "base/format.h"
#include "base/ids.h"
#include "base/text.h"
#include "cli/commands.h"

namespace heimdall {

namespace {

class Apply {
 public:
  explicit Apply(CommandContext& context) : context_(context), options_(context.options) {}

  ExitCode run() {
    ExitCode exit = ExitCode::ok;
    workspace_ = open_workspace(context_, exit);
    if (workspace_ == nullptr) return exit;
    run_.emplace(RunContext{new_run_id(context_.clock), "apply", workspace_->state(), context_.clock, context_.progress,
                            context_.stop, options_.accepted});
    return options_.file ? apply_file(*options_.file) : apply_policy();
  }

 private:
  ExitCode apply_file(const std::string& path) {
    auto plan = open_plan(path);
    if (!plan) return fail(context_, plan.error(), plan_exit_code(plan.error().code));
    if (options_.dry_run == Switch::on) {
      const RunOutcome outcome = rehearse(*workspace_, *plan, *run_);
      const bool is_fit = !outcome.error && outcome.refusals.empty();
      if (is_fit) context_.output.plan(*plan);
      const ExitCode exit = finish_run(context_, outcome);
      if (is_fit) context_.output.note("A dry run: nothing was deleted.");
      return exit;
    }
    return finish(carry_out(*workspace_, std::move(*plan), *run_));
  }

  // Without a plan: scan everything, plan what the buckets' modes allow, ask, and carry it out as the same run.
  ExitCode apply_policy() {
    CleanupRequest request;
    request.selection = {options_.ignore_grace == Switch::on ? Selection::Grace::ignore : Selection::Grace::respect, options_.limit};
    request.dry_run = options_.dry_run == Switch::on ? RunReport::DryRun::yes : RunReport::DryRun::no;
    bool was_asked = false;
    request.approve = [&](const Plan& plan, const RunOutcome& scanned) {
      was_asked = true;
      return ask(plan, scanned);
    };
    RunOutcome outcome = cleanup(*workspace_, request, *run_);
    std::erase_if(outcome.overridden, [&](const Refusal& refusal) { return !is_accepted(refusal); });  // a warning said it
    if (was_asked) {
      outcome.overridden.clear();  // told before
      return finish(outcome);
    }
    for (BucketWorkspace& bucket : workspace_->buckets()) {
      if (outcome.stage == RunOutcome::Stage::running && bucket.policy().mode == Mode::report) {
        context_.output.note(format("Bucket '{}' is in `mode: report`: nothing in it is deleted.", bucket.policy().name));
      }
    }
    const ExitCode exit = finish_run(context_, outcome);
    if (exit == ExitCode::ok) say_if_nothing_is_due(outcome.report);
    return exit;
  }

  // In the buckets that may be swept.
  void say_if_nothing_is_due(RunReport report) {
    std::erase_if(report.buckets, [&](const auto& entry) {
      const BucketWorkspace* const bucket = workspace_->find(entry.first);
      return bucket == nullptr || bucket->policy().mode != Mode::remove;
    });
    std::uint64_t due = 0;
    for (const auto& [bucket, figures] : report.buckets) due += figures.due_objects;
    if (due == 0 && !report.buckets.empty()) context_.output.note(why_nothing_is_due(report, "apply"));
  }

  Result<void> ask(const Plan& plan, const RunOutcome& scanned) {
    for (const Refusal& refusal : scanned.overridden) {
      if (is_accepted(refusal)) context_.output.overridden(refusal);
    }
    if (options_.yes == Switch::on) return {};
    context_.output.plan(plan);
    if (confirmed(plan)) return {};
    return Error{ErrorCode::not_approved, "nothing was deleted: the deletion was not approved",
                 "answer 'yes' on a terminal, pass --yes, or use `plan -o FILE` and `apply FILE`"};
  }

  bool is_accepted(const Refusal& refusal) const {
    return std::find(options_.accepted.begin(), options_.accepted.end(), refusal.guard) != options_.accepted.end();
  }

  bool confirmed(const Plan& plan) const {
    if (isatty(STDIN_FILENO) != 1) return false;
    std::uint64_t bytes = 0;
    for (const BucketPlan& bucket : plan.buckets()) bytes += bucket.candidate_bytes;
    std::cerr << format("Delete {} ({}) for good? Type 'yes': ", count_of(plan.candidates(), "object"), human_bytes(bytes)) << std::flush;
    std::string answer;
    return std::getline(std::cin, answer) && answer == "yes";
  }

  ExitCode finish(const RunOutcome& outcome) {
    if (outcome.stage == RunOutcome::Stage::running && options_.keys == Switch::on) {
      auto printed = workspace_->state().deletions(outcome.report.run_id, [&](const Deletion& deletion) -> Result<void> {
        context_.output.deletion(deletion);
        return {};
      });
      if (!printed) return fail(context_, printed.error());
    }
    return finish_run(context_, outcome);
  }

  CommandContext& context_;
  const Options& options_;
  std::unique_ptr<Workspace> workspace_;
  std::optional<RunContext> run_;
};

}  // namespace

ExitCode command_apply(CommandContext& context) { return Apply(context).run(); }

ExitCode command_recover(CommandContext& context) {
  ExitCode exit = ExitCode::ok;
  const auto workspace = open_workspace(context, exit);
  if (workspace == nullptr) return exit;
  RunContext run{new_run_id(context.clock), "recover", workspace->state(), context.clock, context.progress, context.stop, {}};
  const auto report = recover_doubts(*workspace, run);
  if (!report) return fail(context, report.error());
  for (const Deletion& deletion : report->settled) context.output.deletion(deletion);
  if (const auto error = report->error()) return fail(context, *error);
  if (report->settled.empty()) context.output.note("Nothing was left in doubt.");
  context.output.done();
  return ExitCode::ok;
}

}  // namespace heimdall
