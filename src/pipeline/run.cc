#include "pipeline/run.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/format.h"
#include "base/ids.h"
#include "base/text.h"
#include "model/run_totals.h"
#include "pipeline/judge.h"
#include "pipeline/sweep/recheck.h"
#include "pipeline/listing/scan.h"
#include "pipeline/sweep/sweep.h"
#include "pipeline/tree_links.h"

namespace heimdall {

namespace {

std::string all_messages(const std::vector<Refusal>& refusals) {
  std::string all;
  for (const Refusal& refusal : refusals) all += (all.empty() ? "" : "; ") + refusal.message;
  return all;
}

// The parts that both kinds of run share: the report, from its first line in the history to its last.
class RunLog {
 public:
  RunLog(RunContext& context, RunReport::DryRun dry_run) : context_(context) {
    outcome.report.run_id = context.run_id;
    outcome.report.command = context.command;
    outcome.report.trigger = context.trigger;
    outcome.report.dry_run = dry_run == RunReport::DryRun::yes;
    outcome.report.started_at = context.started_at.value_or(context.clock.now());
  }

  Result<void> save() { return context_.history.save_run(outcome.report); }

  void fail(Error error) {
    if (!outcome.error) outcome.error = std::move(error);
  }

  RunOutcome finish() && {
    RunReport& report = outcome.report;
    report.completed_at = context_.clock.now();
    report.status = status();
    if (outcome.error) report.error = outcome.error->message;
    else if (!outcome.refusals.empty()) report.error = all_messages(outcome.refusals);
    else if (!outcome.unlisted.empty()) report.error = outcome.unlisted.front().error.message;
    // What cannot be written down did not end well.
    if (auto saved = save(); !saved) {
      fail(std::move(saved.error()));
      report.status = RunStatus::failed;
    }
    return std::move(outcome);
  }

  RunOutcome outcome;

 private:
  RunStatus status() const {
    const RunTotals totals = totals_of(outcome.report);
    if (outcome.error && outcome.error->code == ErrorCode::cancelled) return RunStatus::interrupted;
    if (!outcome.refusals.empty()) return totals.orphans_deleted == 0 ? RunStatus::refused : RunStatus::partial;
    if (outcome.error) return totals.orphans_deleted + totals.deletion_failures == 0 ? RunStatus::failed : RunStatus::partial;
    return totals.deletion_failures > 0 || !outcome.unlisted.empty() ? RunStatus::partial : RunStatus::success;
  }

  RunContext& context_;
};

bool contains(const std::vector<Guard>& guards, Guard guard) {
  return std::find(guards.begin(), guards.end(), guard) != guards.end();
}

bool is_planned(const BucketPolicy& policy, const ScanRequest& request) {
  return std::find(request.planned_modes.begin(), request.planned_modes.end(), policy.mode) != request.planned_modes.end();
}

Result<void> replace_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (std::rename(from.c_str(), to.c_str()) == 0) return {};
  return system_error(errno, format("cannot replace the ledger '{}'", to.string()));
}

Result<Findings> scan_bucket(const ScanTarget& target, const ScanRequest& request, RunContext& context) {
  TRY_ASSIGN(const Timestamp started, target.store.server_time());
  const auto clock_skew = started - context.clock.now();
  TRY_ASSIGN(const auto baseline, context.history.baseline(target.policy.name));
  std::optional<std::uint64_t> expected_rows;
  if (baseline) {
    expected_rows = 0;
    for (const Baseline::Source& source : baseline->sources) *expected_rows += source.rows;
  }
  std::vector<RecheckForm> recheck_forms;
  for (const SourceBinding& binding : target.sources) {
    TRY_ASSIGN(const RecheckForm form, recheck_form(binding));
    recheck_forms.push_back(form);
  }
  EarlyListing early(target.store, target.policy.prefixes.front());
  const BootTime reading = context.clock.boot_now();
  context.progress.begin("references", target.policy.name, expected_rows);
  auto snapshot = take_snapshot(target.sources, target.policy.prefixes, target.scratch.string() + ".snapshot",
                                random_u64(), context.progress, context.stop);
  context.progress.end();
  TRY(snapshot);
  const auto references_read_in = context.clock.boot_now() - reading;

  TRY_ASSIGN(const auto last, context.history.last_figures(target.policy.name));
  context.progress.begin("listing", target.policy.name, last ? std::optional(last->total_objects) : std::nullopt);
  ScanOptions options;
  options.scratch = target.scratch;
  options.ledger = target.ledger;
  options.started = started;
  options.expected_objects = std::max(snapshot->references(), last ? last->total_objects : 0);
  auto findings = scan(target.store, *snapshot, target.policy, options, context.progress, context.stop, early.take());
  context.progress.end();
  TRY(findings);
  TRY(check_links(*findings, target.sources, *snapshot, context.stop));
  findings->clock_skew = clock_skew;
  findings->recheck_forms = std::move(recheck_forms);
  findings->references_read_in = references_read_in;
  if (request.on_scanned && findings->complete()) TRY(request.on_scanned(target, *snapshot));
  return findings;
}

// Judges one bucket and moves its ledger and baseline as far as the judgement allows.
Result<void> judge_bucket(const ScanTarget& target, const Findings& findings, const ScanRequest& request,
                          std::chrono::nanoseconds step, RunContext& context, RunOutcome& outcome) {
  TRY_ASSIGN(const auto baseline, context.history.baseline(target.policy.name));
  const auto worst = std::chrono::abs(step) > std::chrono::abs(findings.clock_skew) ? step : findings.clock_skew;
  JudgeInput input{findings, target.policy, baseline, request.selection, context.clock.now(), worst};
  if (target.policy.guards.max_bytes && request.selection.limit) {
    TRY_ASSIGN(input.planned_bytes, planned_bytes(findings, request.selection));
  }
  const bool has_say = request.guards_of == ScanRequest::GuardsOf::all || is_planned(target.policy, request);
  bool refused = false;
  for (Refusal& refusal : judge(input)) {
    const bool accepted = contains(context.accepted, refusal.guard);
    refused = refused || !accepted;
    (accepted || !has_say ? outcome.overridden : outcome.refusals).push_back(std::move(refusal));
  }
  if (!findings.complete()) return {};
  TRY(replace_file((refused ? findings.ledger_refused : findings.ledger).path(), target.ledger));
  if (!refused) TRY(context.history.save_baseline(target.policy.name, baseline_of(findings, context.clock.now())));
  return {};
}

Result<void> scan_all(std::span<const ScanTarget> targets, const ScanRequest& request, RunContext& context,
                      RunOutcome& outcome) {
  TRY_ASSIGN(const auto anchor, context.history.clock_anchor());
  const auto step = clock_step(anchor, context.clock);
  std::vector<Findings> all;
  for (const ScanTarget& target : targets) {
    TRY_ASSIGN(Findings findings, scan_bucket(target, request, context));
    outcome.report.buckets[target.policy.name] = findings.figures;
    if (findings.complete()) outcome.report.scanned.insert(target.policy.name);
    TRY(judge_bucket(target, findings, request, step, context, outcome));
    for (RangeFailure& failure : findings.failures) outcome.unlisted.push_back(failure);
    all.push_back(std::move(findings));
  }
  if (!outcome.refusals.empty()) return {};
  const bool all_accepted = std::all_of(outcome.overridden.begin(), outcome.overridden.end(),
                                        [&](const Refusal& refusal) { return contains(context.accepted, refusal.guard); });
  if (all_accepted) TRY(context.history.save_clock_anchor({context.clock.boot_id(), context.clock.boot_now(), context.clock.now()}));
  if (!request.plan_path) return {};
  std::vector<const Findings*> findings;
  std::vector<const BucketPolicy*> policies;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!is_planned(targets[i].policy, request)) continue;
    findings.push_back(&all[i]);
    policies.push_back(&targets[i].policy);
  }
  if (findings.empty()) return {};
  const PlanOptions options{context.run_id, request.selection, context.accepted};
  TRY_ASSIGN(outcome.plan, write_plan(*request.plan_path, findings, policies, options));
  return {};
}

// What kept a sweep from deleting what it was to delete, over all buckets so far.
struct KeyFailures {
  std::uint64_t candidates = 0;
  std::uint64_t failed = 0;
  std::uint64_t in_doubt = 0;
  std::string first;

  void add(const SweepReport& report, std::uint64_t planned) {
    candidates += planned;
    in_doubt += report.in_doubt;
    failed += report.figures.deletion_failures - report.in_doubt;
    if (first.empty()) first = report.first_failure;
  }
  // One sentence; empty if there were none.
  std::string message() const {
    const std::string of_all = format("of {}", count_of(candidates, "object"));
    std::string text;
    if (failed > 0) text = format("{} {} could not be deleted: {}", with_thousands(failed), of_all, first.empty() ? "see `runs show`" : first);
    if (in_doubt > 0) text += format("{}{} {} {} in doubt: `recover` looks again", text.empty() ? "" : "; ", with_thousands(in_doubt), of_all, in_doubt == 1 ? "is" : "are");
    return text;
  }
};

Result<void> apply_all(const ApprovedPlan& approved, std::span<const ApplyTarget> targets, JournalLog& journal,
                       RunContext& context, RunOutcome& outcome) {
  const Plan& plan = approved.plan();
  TRY_ASSIGN(const auto anchor, context.history.clock_anchor());
  const auto step = clock_step(anchor, context.clock);
  if ((std::chrono::abs(step) > kMaxClockSkew) && !contains(plan.accepted(), Guard::clock_skew)) {
    outcome.refusals.push_back({Guard::clock_skew, plan.buckets().front().bucket, std::chrono::duration<double>(step).count(),
                                300, format("the clock was stepped by {} since the plan was made; set it right and make a "
                                            "new plan", human_duration(step))});
    return {};
  }
  KeyFailures failures;
  // A plan works once: from the first intent on, or when all of it was looked at.
  bool used = false;
  const auto use_plan = [&]() -> Result<void> {
    return std::exchange(used, true) ? Result<void>() : context.history.use_plan(plan.digest(), context.run_id);
  };
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const ApplyTarget& target = targets[i];
    SweepOptions options;
    options.before_first_intent = use_plan;
    options.run_id = context.run_id;
    options.recheck.accepted = plan.accepted();
    options.recheck.scratch = target.scratch.string() + ".wave";
    SweepReport report = sweep(approved, i, {target.store, target.policy, target.sources, target.holds}, journal, context.clock,
                               options, context.progress, context.stop);
    outcome.report.buckets[target.policy.name] = report.figures;
    outcome.report.sweeps[target.policy.name] = report.times;
    failures.add(report, plan.buckets()[i].candidates);
    outcome.report.error = failures.message();  // unless there is a graver reason
    const bool ends_here = report.refusal || report.failure || report.interrupted;
    if (ends_here && i + 1 < targets.size()) {
      std::string left;
      for (const ApplyTarget& other : targets.subspan(i + 1)) left += format("{}'{}'", left.empty() ? "" : ", ", other.policy.name);
      context.progress.warn(format("the run ends with bucket '{}': nothing was touched in {}; make a new plan for the rest, or name buckets one by one with --bucket", target.policy.name, left));
    }
    if (report.refusal) outcome.refusals.push_back(std::move(*report.refusal));
    if (report.failure) return std::move(*report.failure);
    if (!outcome.refusals.empty()) return {};
    if (report.interrupted) {
      return Error{ErrorCode::cancelled, format("interrupted after {}; {} were not touched",
                                                count_of(report.figures.orphans_deleted, "deletion"),
                                                count_of(report.untouched, "candidate")),
                   "make a new plan to go on"};
    }
  }
  return use_plan();
}

}  // namespace

RunOutcome run_scan(std::span<const ScanTarget> targets, const ScanRequest& request, RunContext& context) {
  RunLog log(context, request.dry_run);
  auto done = log.save();
  if (done) done = scan_all(targets, request, context, log.outcome);
  if (!done) log.fail(std::move(done.error()));
  return std::move(log).finish();
}

RunOutcome run_apply(const ApprovedPlan& approved, std::span<const ApplyTarget> targets, JournalLog& journal,
                     RunContext& context) {
  RunLog log(context, RunReport::DryRun::no);
  for (const BucketPlan& bucket : approved.plan().buckets()) log.outcome.report.buckets[bucket.bucket] = bucket.figures;
  auto done = log.save();
  if (done) done = apply_all(approved, targets, journal, context, log.outcome);
  if (!done) log.fail(std::move(done.error()));
  return std::move(log).finish();
}

}  // namespace heimdall
