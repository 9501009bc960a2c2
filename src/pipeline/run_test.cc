#include "pipeline/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/listing/ledger.h"
#include "pipeline/test_world.h"
#include "testing/faulty_store.h"

namespace heimdall::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<Guard> guards_of(const std::vector<Refusal>& refusals) {
  std::vector<Guard> guards;
  for (const Refusal& refusal : refusals) guards.push_back(refusal.guard);
  return guards;
}

class RunTest : public ::testing::Test {
 protected:
  std::optional<Baseline> baseline() { return world_.history.baseline("raw").value(); }
  RunReport saved(const RunOutcome& outcome) { return world_.history.run(outcome.report.run_id).value().value(); }
  // When the ledger first saw a key; nullopt if it does not hold it.
  std::optional<Timestamp> first_seen(const ObjectMeta& object) {
    return LedgerReader::open(world_.directory / "ledger").value().first_seen(object).value();
  }
  // The table as it is after somebody lost most of it.
  void lose_references() {
    for (int i = 0; i < 100; ++i) {
      world_.put_old("more/" + std::to_string(i));
      world_.source().add("more/" + std::to_string(i));
    }
    ASSERT_EQ(world_.scan().report.status, RunStatus::success);
    world_.source().data().rows.resize(4);
  }

  World world_;
};

TEST_F(RunTest, a_scan_reports_records_and_changes_nothing) {
  world_.put_orphans(5);
  world_.store.put("young");
  const auto keys = world_.store.keys();
  const RunOutcome outcome = world_.scan();
  EXPECT_FALSE(outcome.error.has_value());
  EXPECT_FALSE(outcome.plan.has_value());
  const BucketFigures figures = saved(outcome).buckets.at("raw");
  EXPECT_EQ(saved(outcome).status, RunStatus::success);
  EXPECT_TRUE(saved(outcome).completed_at.has_value());
  EXPECT_EQ(figures.total_objects, 10U);
  EXPECT_EQ(figures.due_objects, 5U);
  EXPECT_EQ(figures.young_objects, 1U);
  EXPECT_EQ(figures.orphans_deleted, 0U);
  EXPECT_EQ(world_.store.keys(), keys);
  EXPECT_TRUE(baseline().has_value());
}

TEST_F(RunTest, from_plan_to_apply) {
  world_.put_orphans(5);
  const RunOutcome applied = world_.apply(world_.approved_plan());
  EXPECT_EQ(applied.report.status, RunStatus::success);
  EXPECT_EQ(saved(applied).buckets.at("raw").orphans_deleted, 5U);
  EXPECT_EQ(saved(applied).buckets.at("raw").total_objects, 9U) << "the plan's figures stay with it";
  EXPECT_THAT(world_.store.keys(), ElementsAre("kept/0", "kept/1", "kept/2", "kept/3"));
}

TEST_F(RunTest, a_plan_works_once) {
  world_.put_orphans(5);
  const ApprovedPlan plan = world_.approved_plan();
  EXPECT_EQ(world_.apply(plan).report.status, RunStatus::success);
  world_.put_orphans(5);
  const RunOutcome again = world_.apply(plan);
  ASSERT_TRUE(again.error.has_value());
  EXPECT_EQ(again.error->code, ErrorCode::failed_precondition);
  EXPECT_THAT(again.error->message, HasSubstr("run-2"));
  EXPECT_EQ(world_.store.removed().size(), 5U);
  EXPECT_EQ(again.report.status, RunStatus::failed);
}

TEST_F(RunTest, a_plan_that_was_turned_away_before_its_first_intent_can_be_tried_again) {
  world_.put_orphans(5);
  const ApprovedPlan plan = world_.approved_plan();
  world_.source().data().can_read_again = false;
  EXPECT_EQ(world_.apply(plan).report.status, RunStatus::failed);
  EXPECT_THAT(world_.store.removed(), IsEmpty());
  world_.source().data().can_read_again = true;
  EXPECT_EQ(world_.apply(plan).report.status, RunStatus::success);
  EXPECT_EQ(world_.apply(plan).error.value().code, ErrorCode::failed_precondition);
}

// A killed run leaves a plan that was used.
TEST_F(RunTest, a_plan_is_used_before_anything_of_it_is_sent) {
  world_.put_orphans(5);
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta&) {
    EXPECT_TRUE(world_.history.plan_user(plan.plan().digest()).value().has_value());
  };
  EXPECT_EQ(world_.apply(plan).report.status, RunStatus::success);
}

TEST_F(RunTest, nothing_is_deleted_when_the_use_of_the_plan_cannot_be_written) {
  world_.put_orphans(5);
  const ApprovedPlan plan = world_.approved_plan();
  world_.history.fail_writes(Error{ErrorCode::internal, "the disk is full"});
  EXPECT_EQ(world_.apply(plan).report.status, RunStatus::failed);
  EXPECT_THAT(world_.store.removed(), IsEmpty());
}

// Invariant 7: the baseline moves only with a run whose guards passed or were accepted.
TEST_F(RunTest, refusing_twice_in_a_row_refuses_twice) {
  lose_references();
  const auto before = baseline();
  for (int i = 0; i < 3; ++i) {
    const RunOutcome refused = world_.plan();
    EXPECT_THAT(guards_of(refused.refusals), ElementsAre(Guard::references_fell)) << i;
    EXPECT_EQ(refused.report.status, RunStatus::refused);
    EXPECT_FALSE(refused.plan.has_value());
    EXPECT_EQ(baseline(), before);
  }
  EXPECT_FALSE(std::filesystem::exists(world_.directory / "plan-1")) << "a refused plan writes no file";
}

TEST_F(RunTest, an_accepted_guard_moves_the_baseline_and_travels_with_the_plan) {
  lose_references();
  world_.accepted = {Guard::references_fell};
  const RunOutcome accepted = world_.plan();
  EXPECT_THAT(accepted.refusals, IsEmpty());
  EXPECT_THAT(guards_of(accepted.overridden), ElementsAre(Guard::references_fell));
  ASSERT_TRUE(accepted.plan.has_value());
  EXPECT_THAT(accepted.plan->accepted(), ElementsAre(Guard::references_fell));
  world_.accepted.clear();
  EXPECT_THAT(world_.scan().refusals, IsEmpty());
}

TEST_F(RunTest, accepting_one_guard_does_not_accept_another) {
  lose_references();
  world_.accepted = {Guard::orphan_ratio};
  EXPECT_THAT(guards_of(world_.plan().refusals), ElementsAre(Guard::references_fell));
}

// Invariant 2: a failed page fails its range, and what it means for the guards is not believed either.
TEST_F(RunTest, an_incomplete_scan_moves_neither_baseline_nor_ledger) {
  world_.put_orphans(40);
  ASSERT_EQ(world_.scan().report.status, RunStatus::success);
  const auto before = baseline();
  world_.source().add("kept/0");  // another row count
  const ObjectMeta fresh = world_.put_old("orphan/new");
  FaultyStore faulty(world_.store, {StoreFault::error, 3, StoreCall::next_page});
  world_.store_port = &faulty;
  const RunOutcome outcome = world_.scan();
  ASSERT_TRUE(faulty.reached());
  EXPECT_EQ(outcome.report.status, RunStatus::partial);
  EXPECT_FALSE(outcome.unlisted.empty());
  EXPECT_EQ(baseline(), before);
  EXPECT_FALSE(first_seen(fresh).has_value());
}

TEST_F(RunTest, the_ledger_remembers_since_when_and_forgets_what_was_referenced_between) {
  world_.policy.grace = 24h;
  const ObjectMeta a = world_.put_old("a");
  const ObjectMeta b = world_.put_old("b");
  const Timestamp first = world_.clock.now();
  EXPECT_EQ(world_.scan().report.buckets.at("raw").in_grace_objects, 2U);
  world_.clock.advance(23h);
  world_.source().add("b");
  world_.scan();
  world_.source().remove("b");
  world_.clock.advance(1h);
  const RunOutcome due = world_.scan();
  EXPECT_EQ(due.report.buckets.at("raw").due_objects, 1U);
  EXPECT_EQ(first_seen(a), first);
  EXPECT_EQ(first_seen(b), first + 24h);
}

TEST_F(RunTest, a_refused_run_lets_no_orphan_into_the_ledger_but_lets_them_out) {
  world_.policy.grace = 24h;
  const ObjectMeta known = world_.put_old("a");
  const ObjectMeta saved_again = world_.put_old("b");
  lose_references();
  const ObjectMeta fresh = world_.put_old("c");
  world_.source().add("b");
  ASSERT_EQ(world_.scan().report.status, RunStatus::refused);
  EXPECT_TRUE(first_seen(known).has_value());
  EXPECT_FALSE(first_seen(saved_again).has_value());
  EXPECT_FALSE(first_seen(fresh).has_value());
}

// Invariant 3, and the clock_skew guard between runs.
TEST_F(RunTest, a_step_of_the_clock_between_plan_and_apply_refuses) {
  for (const auto step : {std::chrono::nanoseconds(1h), std::chrono::nanoseconds(-1h)}) {
    World world;
    world.put_orphans(3);
    const ApprovedPlan plan = world.approved_plan();
    world.clock.advance(10min);
    world.clock.set_now(world.clock.now() + step);
    const RunOutcome outcome = world.apply(plan);
    EXPECT_THAT(guards_of(outcome.refusals), ElementsAre(Guard::clock_skew));
    EXPECT_EQ(outcome.report.status, RunStatus::refused);
    EXPECT_THAT(world.store.removed(), IsEmpty());
  }
}

TEST_F(RunTest, time_that_just_goes_on_is_no_step) {
  world_.put_orphans(3);
  const ApprovedPlan plan = world_.approved_plan();
  world_.clock.advance(20h);
  EXPECT_EQ(world_.apply(plan).report.status, RunStatus::success);
}

TEST_F(RunTest, a_step_of_the_clock_between_two_scans_refuses_until_it_is_accepted) {
  world_.scan();
  world_.clock.set_now(world_.clock.now() + 40 * 24h);
  EXPECT_THAT(guards_of(world_.scan().refusals), ElementsAre(Guard::clock_skew));
  EXPECT_THAT(guards_of(world_.scan().refusals), ElementsAre(Guard::clock_skew)) << "the anchor must not move with a refused run";
  world_.accepted = {Guard::clock_skew};
  EXPECT_THAT(world_.scan().refusals, IsEmpty());
  world_.accepted.clear();
  EXPECT_THAT(world_.scan().refusals, IsEmpty());
}

TEST_F(RunTest, after_a_reboot_only_a_step_back_shows) {
  world_.scan();
  world_.clock.set_boot_id("second-boot");
  world_.clock.set_boot(BootTime{1min});
  world_.clock.set_now(world_.clock.now() + 1h);
  EXPECT_THAT(world_.scan().refusals, IsEmpty());
  world_.clock.set_boot_id("third-boot");
  world_.clock.set_now(world_.clock.now() - 1h);
  EXPECT_THAT(guards_of(world_.scan().refusals), ElementsAre(Guard::clock_skew));
}

// Invariant 2 at apply: exit 4, and nothing is deleted.
TEST_F(RunTest, references_that_are_gone_at_apply_refuse) {
  world_.put_orphans(3);
  const ApprovedPlan plan = world_.approved_plan();
  world_.source().data().rows.clear();
  const RunOutcome outcome = world_.apply(plan);
  EXPECT_THAT(guards_of(outcome.refusals), ElementsAre(Guard::no_references));
  EXPECT_EQ(outcome.report.status, RunStatus::refused);
  EXPECT_THAT(world_.store.removed(), IsEmpty());
}

TEST_F(RunTest, blindness_after_the_first_deletion_is_partial) {
  world_.put_orphans(6);
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta&) { world_.source().data().rows = {{"another/database"}}; };
  const RunOutcome outcome = world_.apply(plan);
  EXPECT_THAT(guards_of(outcome.refusals), ElementsAre(Guard::recheck_blind));
  EXPECT_EQ(outcome.report.status, RunStatus::partial);
  EXPECT_EQ(saved(outcome).buckets.at("raw").orphans_deleted, 3U);
}

TEST_F(RunTest, a_stop_in_mid_sweep_is_interrupted_and_says_what_was_left) {
  world_.put_orphans(7);
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta&) { world_.stop.request_stop(); };
  const RunOutcome outcome = world_.apply(plan);
  EXPECT_EQ(outcome.report.status, RunStatus::interrupted);
  ASSERT_TRUE(outcome.error.has_value());
  EXPECT_EQ(outcome.error->code, ErrorCode::cancelled);
  EXPECT_THAT(outcome.error->message, HasSubstr("4 candidates"));
  EXPECT_EQ(saved(outcome).buckets.at("raw").orphans_deleted, 3U);
}

TEST_F(RunTest, a_failed_key_makes_the_run_partial) {
  world_.put_orphans(2);
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta&) { world_.clock.advance(11s); };
  const RunOutcome outcome = world_.apply(plan);
  EXPECT_EQ(outcome.report.status, RunStatus::partial);
  EXPECT_THAT(saved(outcome).error, HasSubstr("2 of 2 objects could not be deleted: "));
}

TEST_F(RunTest, max_bytes_judges_what_the_limit_leaves) {
  world_.put_orphans(3);
  std::uint64_t all = 0;
  const RunOutcome scanned = world_.scan();
  all = scanned.report.buckets.at("raw").due_bytes;
  ASSERT_EQ(all % 3, 0U);
  world_.policy.guards.max_bytes = all / 3;
  EXPECT_THAT(guards_of(world_.plan().refusals), ElementsAre(Guard::max_bytes));
  const RunOutcome two = world_.plan({Selection::Grace::respect, 2});
  EXPECT_THAT(guards_of(two.refusals), ElementsAre(Guard::max_bytes));
  EXPECT_EQ(two.refusals.front().value, static_cast<double>(all / 3 * 2));
  const RunOutcome one = world_.plan({Selection::Grace::respect, 1});
  ASSERT_TRUE(one.plan.has_value()) << one.report.error;
  EXPECT_EQ(one.plan->candidates(), 1U);
}

class LosableHold final : public SourceHold {
 public:
  bool still_held() override { return !lost; }
  bool lost = false;
};

TEST_F(RunTest, a_run_that_ends_with_an_error_after_all_keys_failed_is_partial) {
  world_.put_orphans(2);
  const ApprovedPlan plan = world_.approved_plan();
  LosableHold hold;
  SourceHold* const holds[] = {&hold};
  const auto bound = world_.bindings();
  const ApplyTarget target{world_.store, world_.policy, bound, world_.directory / "apply", holds};
  RunContext applying = world_.context("apply");
  world_.store.before_remove = [&](const ObjectMeta&) {
    hold.lost = true;
    world_.clock.advance(2s);
  };
  const RunOutcome outcome = run_apply(plan, std::span(&target, 1), world_.journal, applying);
  ASSERT_TRUE(outcome.error.has_value());
  EXPECT_EQ(outcome.report.buckets.at("raw").deletion_failures, 2U);
  EXPECT_EQ(outcome.report.status, RunStatus::partial);
  EXPECT_EQ(outcome.report.error, outcome.error->message);
}

// Two buckets in one plan: what the first one deleted stays counted when the second one refuses.
TEST_F(RunTest, a_plan_of_two_buckets_stops_at_the_one_that_refuses) {
  World other;
  other.policy.name = "cooked";
  for (World* world : {&world_, &other}) world->put_orphans(2);
  const auto bound = world_.bindings();
  const auto other_bound = other.bindings();
  const std::vector<ScanTarget> scanned = {
      {world_.store, world_.policy, bound, world_.directory / "ledger", world_.directory / "scan"},
      {other.store, other.policy, other_bound, other.directory / "ledger", other.directory / "scan"}};
  ScanRequest request;
  request.plan_path = world_.directory / "both";
  RunContext planning = world_.context("plan");
  const RunOutcome planned = run_scan(scanned, request, planning);
  ASSERT_TRUE(planned.plan.has_value()) << planned.report.error;
  const std::vector<BucketPolicy> policies = {world_.policy, other.policy};
  Limits limits;
  limits.now = world_.clock.now();
  limits.policies = policies;
  auto approved = approve(*planned.plan, limits);
  ASSERT_TRUE(approved.has_value());
  other.source().data().rows.clear();
  const std::vector<ApplyTarget> targets = {{world_.store, world_.policy, bound, world_.directory / "apply"},
                                            {other.store, other.policy, other_bound, other.directory / "apply"}};
  RunContext applying = world_.context("apply");
  const RunOutcome outcome = run_apply(*approved, targets, world_.journal, applying);
  EXPECT_EQ(outcome.report.status, RunStatus::partial);
  EXPECT_EQ(outcome.report.buckets.at("raw").orphans_deleted, 2U);
  EXPECT_EQ(outcome.report.buckets.at("cooked").orphans_deleted, 0U);
  EXPECT_THAT(other.store.removed(), IsEmpty());
}

// Invariant 2: one source that does not end cleanly fails the whole run.
TEST_F(RunTest, a_source_that_fails_at_planning_fails_the_run) {
  world_.put_orphans(2);
  world_.source().data().can_read_again = false;
  ASSERT_EQ(world_.scan().report.status, RunStatus::success);
  const RunOutcome outcome = world_.plan();
  EXPECT_EQ(outcome.report.status, RunStatus::failed);
  EXPECT_FALSE(outcome.plan.has_value());
  EXPECT_THAT(outcome.error.value().message, HasSubstr("rows"));
}

// Invariant 4: what a row names by a link is listed without it.
TEST_F(RunTest, a_row_through_a_link_fails_the_run_before_anything_is_judged) {
  world_.put_orphans(2);
  world_.store.put_link("current", "orphan/");
  world_.source().add("gone");
  ASSERT_EQ(world_.scan().report.status, RunStatus::success) << "no row goes through it";
  const auto before = baseline();
  world_.source().add("current/100");
  ScanRequest request;
  request.plan_path = world_.directory / "plan";
  request.on_scanned = [](const ScanTarget&, const ReferenceSnapshot&) -> Result<void> {
    ADD_FAILURE() << "not to be told of";
    return {};
  };
  const RunOutcome outcome = world_.scan(request);
  EXPECT_EQ(outcome.report.status, RunStatus::failed);
  EXPECT_EQ(outcome.error.value().code, ErrorCode::failed_precondition);
  EXPECT_THAT(outcome.error->message, HasSubstr("'current/100' goes through the symbolic link 'current'"));
  EXPECT_FALSE(outcome.plan.has_value() || std::filesystem::exists(*request.plan_path));
  EXPECT_EQ(baseline(), before);
}

// Invariant 9, as the callers of run_apply() keep it: the second holder is refused.
TEST_F(RunTest, a_bucket_is_held_by_one_at_a_time) {
  auto held = world_.store.hold();
  ASSERT_TRUE(held.has_value());
  EXPECT_EQ(world_.store.hold().error().code, ErrorCode::locked);
  held->reset();
  EXPECT_TRUE(world_.store.hold().has_value());
}

}  // namespace
}  // namespace heimdall::testing
