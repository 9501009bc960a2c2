#include "app/operations.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "app/recover_doubts.h"
#include "base/format.h"
#include "base/text.h"
#include "pipeline/findings.h"
#include "pipeline/sweep/sweep.h"

namespace heimdall {

namespace {

// A report that the pipeline does not write.
void describe(RunReport& report, const RunContext& context) {
  report.run_id = context.run_id;
  report.command = context.command;
  report.trigger = context.trigger;
  report.completed_at = context.clock.now();
  report.started_at = context.started_at.value_or(*report.completed_at);
}

// A run that ended before its pipeline began.
RunOutcome ended_early(const RunContext& context, RunOutcome::Stage stage, Error error) {
  RunOutcome outcome = ended_with(std::move(error));
  describe(outcome.report, context);
  outcome.stage = stage;
  return outcome;
}

// What cannot be written down did not end well.
RunOutcome saved(RunOutcome outcome, History& history) {
  auto done = history.save_run(outcome.report);
  if (done) return outcome;
  outcome.report.status = RunStatus::failed;
  if (!outcome.error) outcome.error = std::move(done).error();
  return outcome;
}

// The buckets of a plan, kept from everybody else and free of doubt.
struct Held {
  std::vector<HeldBucket> buckets;
  std::vector<ApplyTarget> targets;
};

void tell_settled(std::uint64_t settled, Progress& progress) {
  if (settled == 0) return;
  progress.warn(format("{} that an earlier run left in doubt {} looked up; see `runs`", count_of(settled, "object"), settled == 1 ? "was" : "were"));
}

// Whatever else the run does, or does not find to do. What cannot be looked up in a bucket that it does not sweep is no reason to fail.
Result<void> recover_first(Workspace& workspace, RunContext& context, const std::function<bool(const std::string&)>& takes) {
  TRY_ASSIGN(const DoubtReport report, recover_doubts(workspace, context, takes));
  tell_settled(report.settled.size(), context.progress);
  for (const DoubtReport::Left& left : report.left) {
    if (workspace.find(left.bucket) == nullptr || !takes(workspace.find(left.bucket)->policy().name)) continue;
    context.progress.warn(DoubtReport{{}, {left}}.error()->message);
  }
  return {};
}

Result<Held> hold_all(Workspace& workspace, const Plan& plan, RunContext& context) {
  Held held;
  for (const BucketPlan& bucket : plan.buckets()) {
    TRY_ASSIGN(HeldBucket hold, workspace.hold(*workspace.find(bucket.bucket)));
    TRY_ASSIGN(const RecoverReport recovered, workspace.recover_bucket(hold, context.stop, context.journal));
    tell_settled(recovered.settled.size(), context.progress);
    if (recovered.still_in_doubt > 0) return still_in_doubt(recovered.still_in_doubt);
    held.buckets.push_back(std::move(hold));
  }
  for (std::size_t i = 0; i < held.buckets.size(); ++i) {
    BucketWorkspace& mine = *workspace.find(plan.buckets()[i].bucket);
    held.targets.push_back({held.buckets[i].store(), mine.policy(), mine.sources(), workspace.scratch(mine.policy().name), held.buckets[i].source_holds()});
  }
  return held;
}

// `locked` while somebody sweeps a bucket of the plan by this state directory.
Result<void> look_whether_free(Workspace& workspace, const Plan& plan) {
  for (const BucketPlan& bucket : plan.buckets()) TRY(workspace.directory().lock_bucket(bucket.bucket));
  return {};
}

// What a sweep sees before it rechecks anything.
Result<std::vector<Refusal>> other_buckets(Workspace& workspace, const Plan& plan) {
  std::vector<Refusal> refusals;
  for (const BucketPlan& bucket : plan.buckets()) {
    TRY_ASSIGN(ObjectReader* const reader, workspace.find(bucket.bucket)->reader());
    TRY_ASSIGN(const std::string identity, reader->identity());
    if (auto refusal = identity_refusal(bucket, identity)) refusals.push_back(std::move(*refusal));
  }
  return refusals;
}

// Deleted objects that still take their space: the figures count them as recovered.
void warn_of_versions(ObjectStore& store, const std::string& bucket, const RunOutcome& outcome, Progress& progress) {
  const auto figures = outcome.report.buckets.find(bucket);
  if (figures == outcome.report.buckets.end() || figures->second.orphans_deleted == 0) return;
  const auto facts = store.facts();
  if (!facts) return;
  if (facts->versioning == StoreFacts::Versioning::suspended) {
    return progress.warn(format("bucket '{}' had versioning: what was written while it was on is now hidden behind a delete marker, and its space came not back; "
                                "it does when old versions are deleted", bucket));
  }
  if (facts->versioning != StoreFacts::Versioning::enabled) return;
  const std::uint64_t deleted = figures->second.orphans_deleted;
  progress.warn(format("bucket '{}' has versioning: {} now hidden behind delete markers, and no space came back; it does when old versions are deleted, "
                       "and until then removing a marker undoes the delete",
                       bucket, deleted == 1 ? "1 object is" : with_thousands(deleted) + " objects are"));
}

// Of buckets that are only looked at: they would refuse a plan of theirs.
void warn_of_guards_without_say(const RunOutcome& scanned, RunContext& context) {
  for (const Refusal& refusal : scanned.overridden) {
    if (std::ranges::find(context.accepted, refusal.guard) != context.accepted.end()) continue;
    context.progress.warn(format("[{}] {}: {}; the bucket is only looked at, so this refuses nothing", name_of(refusal.guard), refusal.bucket, refusal.message));
  }
}

// The report of the sweep is that of the whole run only together with what the scan before it saw.
void add_scanned(RunOutcome& outcome, RunOutcome scanned) {
  outcome.report.buckets.merge(scanned.report.buckets);
  outcome.report.scanned.merge(scanned.report.scanned);
  outcome.overridden.insert(outcome.overridden.begin(), scanned.overridden.begin(), scanned.overridden.end());
  outcome.unlisted.insert(outcome.unlisted.end(), scanned.unlisted.begin(), scanned.unlisted.end());
  if (outcome.report.status != RunStatus::success || outcome.unlisted.empty()) return;
  outcome.report.status = RunStatus::partial;
  outcome.report.error = outcome.unlisted.front().error.message;
}

// `stage` is that of the error.
Result<ApprovedPlan> approve_as_configured(Workspace& workspace, Plan plan, RunContext& context, RunOutcome::Stage& stage) {
  stage = RunOutcome::Stage::holding;
  TRY_ASSIGN(const auto used_by, workspace.state().plan_user(plan.digest()));
  // Whoever used it may still be at it.
  if (used_by) TRY(look_whether_free(workspace, plan));
  stage = RunOutcome::Stage::approving;
  const std::vector<BucketPolicy> policies = workspace.policies();
  return approve(std::move(plan), {context.clock.now(), policies, used_by});
}

// A plan that may not be carried out is none of the history.
RunOutcome not_taken(Workspace& workspace, RunContext& context, RunOutcome::Stage stage, Error error) {
  RunOutcome outcome = ended_early(context, stage, std::move(error));
  return stage == RunOutcome::Stage::approving ? outcome : saved(std::move(outcome), workspace.state());
}

// approve -> hold -> recover -> sweep.
RunOutcome sweep_plan(Workspace& workspace, Plan plan, RunContext& context) {
  using Stage = RunOutcome::Stage;
  Stage stage = Stage::holding;
  auto approved = approve_as_configured(workspace, std::move(plan), context, stage);
  if (!approved) return not_taken(workspace, context, stage, std::move(approved).error());

  // Held until the end: nobody else deletes in these buckets, and nothing is swept over what is in doubt.
  auto held = hold_all(workspace, approved->plan(), context);
  if (!held) return saved(ended_early(context, Stage::holding, std::move(held).error()), workspace.state());
  JournalLog& journal = context.journal == nullptr ? workspace.state() : *context.journal;
  RunOutcome outcome = run_apply(*approved, held->targets, journal, context);
  for (std::size_t i = 0; i < held->buckets.size(); ++i) {
    warn_of_versions(held->buckets[i].store(), approved->plan().buckets()[i].bucket, outcome, context.progress);
  }
  return outcome;
}

}  // namespace

RunOutcome ended_with(Error error) {
  RunOutcome outcome;
  outcome.report.status = error.code == ErrorCode::cancelled ? RunStatus::interrupted : RunStatus::failed;
  outcome.report.error = error.message;
  outcome.error = std::move(error);
  return outcome;
}

Error still_in_doubt(std::uint64_t objects) {
  return {ErrorCode::in_doubt, format("{} still in doubt from an earlier run: the store cannot say yet", count_of(objects, "object")),
          "nothing more was deleted; run `recover` until it succeeds"};
}

RunOutcome scan_buckets(Workspace& workspace, const ScanRequest& request, RunContext& context) {
  auto targets = workspace.scan_targets();
  if (targets) return run_scan(*targets, request, context);
  RunOutcome outcome = ended_early(context, RunOutcome::Stage::opening, std::move(targets).error());
  outcome.report.dry_run = request.dry_run == RunReport::DryRun::yes;
  return saved(std::move(outcome), workspace.state());
}

RunOutcome carry_out(Workspace& workspace, Plan plan, RunContext& context) {
  // Those of the plan follow once they are held.
  const auto is_another = [&](const std::string& name) {
    return std::ranges::none_of(plan.buckets(), [&](const BucketPlan& bucket) { return bucket.bucket == name; });
  };
  auto recovered = recover_first(workspace, context, is_another);
  if (!recovered) return saved(ended_early(context, RunOutcome::Stage::holding, std::move(recovered).error()), workspace.state());
  return sweep_plan(workspace, std::move(plan), context);
}

RunOutcome rehearse(Workspace& workspace, Plan plan, RunContext& context) {
  using Stage = RunOutcome::Stage;
  Stage stage = Stage::holding;
  auto approved = approve_as_configured(workspace, std::move(plan), context, stage);
  if (!approved) return not_taken(workspace, context, stage, std::move(approved).error());
  const auto is_free = look_whether_free(workspace, approved->plan());
  if (!is_free) return not_taken(workspace, context, Stage::holding, is_free.error());
  auto refusals = other_buckets(workspace, approved->plan());
  if (!refusals) return not_taken(workspace, context, Stage::holding, std::move(refusals).error());
  RunOutcome outcome;
  describe(outcome.report, context);
  outcome.report.dry_run = true;
  outcome.report.status = refusals->empty() ? RunStatus::success : RunStatus::refused;
  if (!refusals->empty()) outcome.report.error = refusals->front().message;
  for (const BucketPlan& bucket : approved->plan().buckets()) outcome.report.buckets[bucket.bucket] = bucket.figures;
  outcome.refusals = std::move(*refusals);
  return saved(std::move(outcome), workspace.state());
}

RunOutcome cleanup(Workspace& workspace, const CleanupRequest& request, RunContext& context) {
  if (request.dry_run == RunReport::DryRun::no) {
    auto recovered = recover_first(workspace, context, [](const std::string&) { return true; });
    if (!recovered) return saved(ended_early(context, RunOutcome::Stage::holding, std::move(recovered).error()), workspace.state());
  }
  ScanRequest scan;
  scan.selection = request.selection;
  scan.dry_run = request.dry_run;
  scan.planned_modes = {Mode::remove};
  scan.guards_of = ScanRequest::GuardsOf::planned;
  std::optional<ScratchFile> plan_file;
  if (request.dry_run == RunReport::DryRun::no) {
    plan_file.emplace(workspace.scratch(context.command).string() + ".plan");
    scan.plan_path = plan_file->path();
  }
  RunOutcome scanned = scan_buckets(workspace, scan, context);
  warn_of_guards_without_say(scanned, context);
  if (!scanned.plan || scanned.plan->candidates() == 0) {
    scanned.plan.reset();  // its file goes now
    return scanned;
  }
  context.started_at = scanned.report.started_at;
  auto allowed = request.approve ? request.approve(*scanned.plan, scanned) : Result<void>();
  RunOutcome outcome = allowed ? sweep_plan(workspace, *std::exchange(scanned.plan, std::nullopt), context)
                               : ended_early(context, RunOutcome::Stage::approving, std::move(allowed).error());
  add_scanned(outcome, std::move(scanned));
  return saved(std::move(outcome), workspace.state());
}

RunOutcome take_stats(Workspace& workspace, RunContext& context) {
  RunOutcome outcome = scan_buckets(workspace, {}, context);
  outcome.overridden.insert(outcome.overridden.end(), outcome.refusals.begin(), outcome.refusals.end());
  outcome.refusals.clear();
  if (outcome.report.status != RunStatus::refused) return outcome;
  // The refusals hid what else went wrong.
  outcome.report.status = outcome.error ? RunStatus::failed : outcome.unlisted.empty() ? RunStatus::success : RunStatus::partial;
  return saved(std::move(outcome), workspace.state());
}

RunOutcome make_plan(Workspace& workspace, const std::filesystem::path& path, const Selection& selection, RunContext& context) {
  ScanRequest request;
  request.selection = selection;
  request.plan_path = path;
  return scan_buckets(workspace, request, context);
}

}  // namespace heimdall
