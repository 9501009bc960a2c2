#pragma once

// One bucket with its references, from plan to sweep, all in memory. For the tests of the deleting side; never part of the product.

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/approve.h"
#include "pipeline/plan.h"
#include "pipeline/sweep/recover.h"
#include "pipeline/run.h"
#include "pipeline/sweep/sweep.h"
#include "testing/fake_clock.h"
#include "testing/fake_source.h"
#include "testing/fake_state.h"
#include "testing/fake_store.h"
#include "testing/temp_dir.h"

namespace heimdall::testing {

// Starts with one source of plain keys that names the objects "kept/0" to "kept/3", all of them old. Guards about ratios are off.
class World {
 public:
  World() {
    policy.name = "raw";
    policy.mode = Mode::remove;
    policy.min_age = std::chrono::hours(1);
    policy.grace = std::chrono::hours(0);
    policy.guards.max_orphan_ratio = 1.0;
    policy.batch_size = 3;
    policy.delete_workers = 1;  // in the order of the plan
    policy.digest = "policy-1";
    add_source("rows");
    for (int i = 0; i < 4; ++i) {
      const std::string key = "kept/" + std::to_string(i);
      put_old(key);
      source().add(key);
    }
  }

  FakeSource& add_source(std::string name, KeyForm as = KeyForm::key) {
    sources.push_back(std::make_unique<FakeSource>());
    source_ports.push_back(sources.back().get());
    sources.back()->data().identity.database = "fake:" + name;
    SourcePolicy source_policy;
    source_policy.name = std::move(name);
    source_policy.mapping.as = as;
    source_policy.mapping.bucket = policy.name;
    policy.sources.push_back(std::move(source_policy));
    return *sources.back();
  }

  FakeSource& source(std::size_t i = 0) { return *sources.at(i); }
  // From now on every source is read whole at each recheck.
  void recheck_by_wave() {
    for (auto& each : sources) each->data().lookup_cost = LookupCost::unsupported;
  }

  ObjectMeta put_old(std::string_view key, std::uint64_t size_bytes = 10) {
    return store.put_at(key, size_bytes, clock.now() - std::chrono::hours(48));
  }
  void put_orphans(int count, const std::string& prefix = "orphan/") {
    for (int i = 0; i < count; ++i) put_old(prefix + std::to_string(100 + i));
  }

  std::vector<SourceBinding> bindings() {
    std::vector<SourceBinding> result;
    for (std::size_t i = 0; i < sources.size(); ++i) result.push_back({source_ports[i], &policy.sources[i]});
    return result;
  }
  RunContext context(std::string command) {
    return {"run-" + std::to_string(++runs), std::move(command), history, clock, progress, stop.get_token(), accepted};
  }

  RunOutcome scan(ScanRequest request = {}) {
    const auto bound = bindings();
    const ScanTarget target{*store_port, policy, bound, directory / "ledger", directory / "scan"};
    RunContext run = context("plan");
    return run_scan(std::span(&target, 1), request, run);
  }
  // A plan that no guard refused.
  RunOutcome plan(Selection selection = {}) {
    ScanRequest request;
    request.selection = selection;
    request.plan_path = directory / ("plan-" + std::to_string(runs));
    return scan(std::move(request));
  }
  Result<ApprovedPlan> approved(const Plan& plan) {
    Limits limits;
    limits.now = clock.now();
    limits.policies = std::span(&policy, 1);
    return approve(plan, limits);
  }
  ApprovedPlan approved_plan(Selection selection = {}) {
    RunOutcome outcome = plan(selection);
    if (!outcome.plan) ADD_FAILURE() << "no plan: " << outcome.report.error;
    auto result = approved(outcome.plan.value());
    if (!result) ADD_FAILURE() << result.error().message;
    return std::move(result).value();
  }

  RunOutcome apply(const ApprovedPlan& plan) {
    const auto bound = bindings();
    const ApplyTarget target{*store_port, policy, bound, directory / "apply"};
    RunContext run = context("apply");
    return run_apply(plan, std::span(&target, 1), *journal_port, run);
  }
  SweepReport sweep_only(const ApprovedPlan& plan, SweepOptions options = {}) {
    const auto bound = bindings();
    if (options.run_id.empty()) options.run_id = "sweep-1";
    options.recheck.scratch = directory / "wave";
    return sweep(plan, 0, {*store_port, policy, bound, holds}, *journal_port, clock, options, progress, stop.get_token());
  }
  Result<RecoverReport> recover_all() { return recover(*store_port, *journal_port, history, clock, stop.get_token()); }

  // What the journal says of a key; nullopt if it was not touched.
  std::optional<Outcome> outcome(std::string_view key) const { return journal.durable_outcome(key); }

  TempDir directory;
  FakeClock clock;
  FakeStore store{clock};
  FakeJournal journal{clock};
  FakeHistory history{clock};
  NoProgress progress;
  std::vector<std::unique_ptr<FakeSource>> sources;
  BucketPolicy policy;
  std::vector<Guard> accepted;
  std::stop_source stop;
  int runs = 0;

  // What the pipeline talks to; a test may put a decorator in front.
  ObjectStore* store_port = &store;
  JournalLog* journal_port = &journal;
  std::vector<ReferenceSource*> source_ports;
  std::vector<SourceHold*> holds;
};

}  // namespace heimdall::testing
