#include <unistd.h>

#include <iostream>

#include "base/format.h"
#include "base/ids.h"
#include "base/text.h"
#include "cli/commands.h"

namespace heimdall {

namespace {

// A plan that is not taken is stale, unless it is the mode of the bucket that forbids it.
ExitCode plan_exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::corrupt:
    case ErrorCode::failed_precondition: return ExitCode::plan_stale;
    case ErrorCode::not_approved: return ExitCode::not_approved;
    case ErrorCode::not_found: return ExitCode::failure;
    default: return exit_code_of(code);
  }
}

// Invariant 6: what is in doubt is looked up before anything else happens to it.
Error still_in_doubt(std::uint64_t count) {
  return {ErrorCode::in_doubt, format("{} still in doubt from an earlier run: the store cannot say yet", count_of(count, "object")),
          "nothing more was deleted; run `recover` until it succeeds"};
}

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
      context_.output.plan(*plan);
      context_.output.note("A dry run: nothing was deleted.");
      context_.output.done();
      return ExitCode::ok;
    }
    return carry_out(std::move(*plan));
  }

  // Without a plan: scan everything, plan what the buckets' modes allow, ask, and carry it out as the same run.
  ExitCode apply_policy() {
    ScanRequest request;
    request.selection = {options_.ignore_grace == Switch::on ? Selection::Grace::ignore : Selection::Grace::respect, options_.limit};
    if (options_.dry_run == Switch::on) {
      request.dry_run = RunReport::DryRun::yes;
    } else {
      request.plan_path = plan_file_ = workspace_->scratch("apply").string() + ".plan";
      request.planned_modes = {Mode::remove};
    }
    auto targets = workspace_->scan_targets();
    if (!targets) return fail_targets(context_, targets.error());
    RunOutcome outcome = run_scan(*targets, request, *run_);
    const struct Unlink {
      const std::string& path;
      ~Unlink() {
        if (!path.empty()) unlink(path.c_str());
      }
    } unlink_plan{plan_file_};
    if (!outcome.plan || outcome.plan->candidates() == 0) {
      for (BucketWorkspace& bucket : workspace_->buckets()) {
        if (bucket.policy().mode == Mode::report) {
          context_.output.note(format("Bucket '{}' is in `mode: report`: nothing in it is deleted.", bucket.policy().name));
        }
      }
      return finish_run(context_, outcome);
    }
    for (const Refusal& refusal : outcome.overridden) context_.output.overridden(refusal);
    unlisted_ = outcome.unlisted;
    if (options_.yes == Switch::off) {
      context_.output.plan(*outcome.plan);
      if (!confirmed(*outcome.plan)) {
        return fail(context_, {ErrorCode::not_approved, "nothing was deleted: the deletion was not approved",
                               "answer 'yes' on a terminal, pass --yes, or use `plan -o FILE` and `apply FILE`"});
      }
    }
    run_->started_at = outcome.report.started_at;
    run_->accepted = options_.accepted;
    scanned_ = std::move(outcome.report);
    return carry_out(std::move(*outcome.plan));
  }

  bool confirmed(const Plan& plan) const {
    if (isatty(STDIN_FILENO) != 1) return false;
    std::uint64_t bytes = 0;
    for (const BucketPlan& bucket : plan.buckets()) bytes += bucket.candidate_bytes;
    std::cerr << format("Delete {} ({}) for good? Type 'yes': ", count_of(plan.candidates(), "object"), human_bytes(bytes)) << std::flush;
    std::string answer;
    return std::getline(std::cin, answer) && answer == "yes";
  }

  ExitCode carry_out(Plan plan) {
    auto used_by = workspace_->state().plan_user(plan.digest());
    if (!used_by) return fail(context_, used_by.error());
    const std::vector<BucketPolicy> policies = workspace_->policies();
    auto approved = approve(std::move(plan), {context_.clock.now(), policies, *used_by});
    if (!approved) return fail(context_, approved.error(), plan_exit_code(approved.error().code));

    // Held until the end: nobody else deletes in these buckets, and nothing is swept over what is in doubt.
    std::vector<HeldBucket> held;
    std::vector<ApplyTarget> targets;
    for (const BucketPlan& bucket : approved->plan().buckets()) {
      BucketWorkspace& mine = *workspace_->find(bucket.bucket);
      auto hold = workspace_->hold(mine);
      if (!hold) return fail(context_, hold.error());
      auto recovered = workspace_->recover_bucket(*hold, context_.stop);
      if (!recovered) return fail(context_, recovered.error());
      report_recovered(*recovered);
      if (recovered->still_in_doubt > 0) return fail(context_, still_in_doubt(recovered->still_in_doubt));
      held.push_back(std::move(*hold));
    }
    for (std::size_t i = 0; i < held.size(); ++i) {
      BucketWorkspace& mine = *workspace_->find(approved->plan().buckets()[i].bucket);
      targets.push_back({held[i].store(), mine.policy(), mine.sources(), workspace_->scratch(mine.policy().name), held[i].source_holds()});
    }
    RunOutcome outcome = run_apply(*approved, targets, workspace_->state(), *run_);
    for (std::size_t i = 0; i < held.size(); ++i) warn_of_versions(held[i].store(), approved->plan().buckets()[i].bucket, outcome);
    // Buckets that were only looked at belong to the report, too.
    if (scanned_) outcome.report.buckets.merge(scanned_->buckets);
    outcome.unlisted.insert(outcome.unlisted.end(), unlisted_.begin(), unlisted_.end());
    if (auto printed = print_deletions(outcome); !printed) return fail(context_, printed.error());
    return finish_run(context_, outcome);
  }

  // Deleted objects that still take their space: the figures count them as recovered.
  void warn_of_versions(ObjectStore& store, const std::string& bucket, const RunOutcome& outcome) {
    const auto figures = outcome.report.buckets.find(bucket);
    if (figures == outcome.report.buckets.end() || figures->second.orphans_deleted == 0) return;
    const auto facts = store.facts();
    if (!facts || facts->versioning != StoreFacts::Versioning::enabled) return;
    context_.progress.warn(format("bucket '{}' has versioning: {} now hidden behind delete markers, and no space came back; it does when old "
                                  "versions are deleted, and until then removing a marker undoes the delete",
                                  bucket, figures->second.orphans_deleted == 1 ? "1 object is"
                                                                               : with_thousands(figures->second.orphans_deleted) + " objects are"));
  }

  void report_recovered(const RecoverReport& report) {
    if (report.settled.empty()) return;
    context_.progress.warn(format("{} that an earlier run left in doubt {} looked up; see `runs`",
                                  count_of(report.settled.size(), "object"), report.settled.size() == 1 ? "was" : "were"));
  }

  Result<void> print_deletions(const RunOutcome& outcome) {
    if (options_.keys == Switch::off) return {};
    return workspace_->state().deletions(outcome.report.run_id, [&](const Deletion& deletion) -> Result<void> {
      context_.output.deletion(deletion);
      return {};
    });
  }

  CommandContext& context_;
  const Options& options_;
  std::unique_ptr<Workspace> workspace_;
  std::optional<RunContext> run_;
  std::optional<RunReport> scanned_;
  std::vector<RangeFailure> unlisted_;
  std::string plan_file_;
};

}  // namespace

ExitCode command_apply(CommandContext& context) { return Apply(context).run(); }

ExitCode command_recover(CommandContext& context) {
  ExitCode exit = ExitCode::ok;
  const auto workspace = open_workspace(context, exit);
  if (workspace == nullptr) return exit;
  std::uint64_t settled = 0;
  std::uint64_t in_doubt = 0;
  for (BucketWorkspace& bucket : workspace->buckets()) {
    auto held = workspace->hold(bucket);
    if (!held) return fail(context, held.error());
    auto report = workspace->recover_bucket(*held, context.stop);
    if (!report) return fail(context, report.error());
    for (const Deletion& deletion : report->settled) context.output.deletion(deletion);
    settled += report->settled.size();
    in_doubt += report->still_in_doubt;
  }
  if (settled == 0 && in_doubt == 0) context.output.note("Nothing was left in doubt.");
  if (in_doubt > 0) {
    return fail(context, still_in_doubt(in_doubt));
  }
  context.output.done();
  return ExitCode::ok;
}

}  // namespace heimdall
