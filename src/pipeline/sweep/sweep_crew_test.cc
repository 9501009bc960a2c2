// Sweeps with several batches under way at once. Whatever their order: the same promises, and sums that are exact.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "base/guarded.h"
#include "pipeline/sweep/sweep.h"
#include "pipeline/test_world.h"
#include "testing/faulty_store.h"

namespace heimdall::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;

constexpr int kOrphans = 60;

class SweepCrewTest : public ::testing::Test {
 protected:
  SweepCrewTest() {
    world_.policy.delete_workers = 4;
    world_.put_orphans(kOrphans);
  }
  static void expect_sums_up(const SweepReport& report, std::uint64_t candidates = kOrphans) {
    const BucketFigures& f = report.figures;
    EXPECT_EQ(f.orphans_deleted + f.deletion_failures + f.skipped_referenced + f.skipped_changed + f.already_gone + report.untouched,
              candidates);
  }
  // Invariant 6: the journal and the store say the same of each key.
  void expect_journal_is_true(const SweepReport& report) {
    std::uint64_t deleted = 0;
    for (int i = 0; i < kOrphans; ++i) {
      const std::string key = "orphan/" + std::to_string(100 + i);
      const auto outcome = world_.outcome(key);
      if (!outcome) {
        EXPECT_TRUE(world_.store.contains(key)) << key << " is gone without an intent";
      } else if (*outcome != Outcome::in_doubt) {
        EXPECT_EQ(*outcome == Outcome::deleted, !world_.store.contains(key)) << key;
      }
      deleted += outcome == Outcome::deleted ? 1 : 0;
    }
    EXPECT_EQ(report.figures.orphans_deleted, deleted);
  }

  World world_;
};

// A store in which batches meet: remove() returns only once `together` calls of it are under way.
class MeetingStore final : public FaultyStore {
 public:
  MeetingStore(ObjectStore& inner, int together) : FaultyStore(inner, {}), together_(together) {}
  Result<std::vector<RemoveOutcome>> remove(std::span<const ObjectMeta> objects, const SendGate& gate) override {
    ++arrived_;
    while (arrived_ < together_) std::this_thread::yield();
    return FaultyStore::remove(objects, gate);
  }

 private:
  const int together_;
  std::atomic<int> arrived_{0};
};

TEST_F(SweepCrewTest, several_batches_are_under_way_at_once) {
  const ApprovedPlan plan = world_.approved_plan();
  MeetingStore store(world_.store, 4);  // one at a time would wait for ever
  world_.store_port = &store;
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_EQ(report.figures.orphans_deleted, kOrphans);
  EXPECT_EQ(report.untouched, 0U);
  EXPECT_FALSE(report.failure || report.refusal || report.interrupted);
  EXPECT_EQ(world_.journal.intents(), kOrphans / 3U);
  EXPECT_EQ(report.times.workers, 4U);
}

// Invariant 6.
TEST_F(SweepCrewTest, each_intent_is_durable_before_its_request_leaves) {
  const ApprovedPlan plan = world_.approved_plan();
  std::atomic<int> asked = 0;
  world_.store.before_remove = [&](const ObjectMeta& object) {
    ++asked;
    EXPECT_EQ(world_.outcome(object.key.bytes()), Outcome::in_doubt) << object.key.bytes();
  };
  world_.sweep_only(plan);
  EXPECT_EQ(asked, kOrphans);
}

TEST_F(SweepCrewTest, the_plan_is_used_once_before_the_first_intent_of_all) {
  const ApprovedPlan plan = world_.approved_plan();
  std::atomic<int> used = 0;
  SweepOptions options;
  options.before_first_intent = [&]() -> Result<void> {
    EXPECT_EQ(world_.journal.intents(), 0U);
    ++used;
    return {};
  };
  world_.sweep_only(plan, options);
  EXPECT_EQ(used, 1);
}

TEST_F(SweepCrewTest, a_plan_that_cannot_be_used_sends_nothing_whoever_asks) {
  const ApprovedPlan plan = world_.approved_plan();
  std::atomic<int> used = 0;
  SweepOptions options;
  options.before_first_intent = [&]() -> Result<void> {
    ++used;
    return Error{ErrorCode::failed_precondition, "it was used before"};
  };
  const SweepReport report = world_.sweep_only(plan, options);
  EXPECT_EQ(used, 1);
  EXPECT_EQ(report.failure.value().code, ErrorCode::failed_precondition);
  EXPECT_THAT(world_.store.removed(), IsEmpty());
  EXPECT_EQ(world_.journal.intents(), 0U);
}

// Invariant 1: each batch has a verdict of its own keys, however many were asked for together.
TEST_F(SweepCrewTest, keeps_what_is_referenced_again_in_any_batch) {
  const ApprovedPlan plan = world_.approved_plan();
  std::set<std::string> kept;
  for (int i = 0; i < kOrphans; i += 7) kept.insert("orphan/" + std::to_string(100 + i));
  world_.source().data().after_rows = [&, done = false]() mutable {
    if (std::exchange(done, true)) return;
    for (const std::string& key : kept) world_.source().add("/" + key);
  };
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_EQ(report.figures.skipped_referenced, kept.size());
  EXPECT_EQ(report.figures.orphans_deleted, kOrphans - kept.size());
  for (const std::string& key : kept) {
    EXPECT_TRUE(world_.store.contains(key)) << key;
    EXPECT_EQ(world_.outcome(key), Outcome::skipped_referenced) << key;
  }
}

// Invariant 2: what one batch learned holds for all.
TEST_F(SweepCrewTest, blindness_that_one_batch_sees_ends_them_all) {
  const ApprovedPlan plan = world_.approved_plan();
  std::atomic<bool> blind = false;
  world_.source().data().before_read = [&] {
    if (world_.store.removed().size() < 9 || blind.exchange(true)) return;
    world_.source().data().rows = {{"another/database"}};
  };
  const SweepReport report = world_.sweep_only(plan);
  ASSERT_TRUE(report.refusal.has_value());
  EXPECT_EQ(report.refusal->guard, Guard::recheck_blind);
  EXPECT_LE(report.figures.orphans_deleted, 9U + 4 * 3);
  EXPECT_GT(report.untouched, 0U);
  expect_sums_up(report);
  expect_journal_is_true(report);
  EXPECT_THAT(world_.journal.in_doubt("").value(), IsEmpty());
}

// Invariant 6: after an error of the journal no request of any batch leaves.
TEST_F(SweepCrewTest, sends_nothing_more_after_an_error_of_the_journal_in_any_batch) {
  for (std::size_t n = 1; n <= 12; ++n) {
    World world;
    world.policy.delete_workers = 4;
    world.put_orphans(kOrphans);
    const ApprovedPlan plan = world.approved_plan();
    world.journal.fail_writes_after(n, Error{ErrorCode::internal, "the disk is full"});
    const SweepReport report = world.sweep_only(plan);
    EXPECT_EQ(report.failure.value().code, ErrorCode::internal);
    EXPECT_LE(world.store.removed().size(), 3 * (n - 1));
    for (const ObjectMeta& object : world.store.removed()) {
      EXPECT_TRUE(world.outcome(object.key.bytes()).has_value()) << "deleted without a durable intent";
    }
    expect_sums_up(report);
  }
}

TEST_F(SweepCrewTest, a_stop_ends_it_after_the_batches_at_hand) {
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta&) { world_.stop.request_stop(); };
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_TRUE(report.interrupted);
  EXPECT_FALSE(report.failure.has_value());
  EXPECT_GE(report.figures.orphans_deleted, 3U);
  EXPECT_LE(report.figures.orphans_deleted, 12U);
  EXPECT_EQ(report.figures.orphans_deleted % 3, 0U) << "whole batches";
  expect_sums_up(report);
  expect_journal_is_true(report);
}

class LosableHold final : public SourceHold {
 public:
  bool still_held() override { return !lost; }
  std::atomic<bool> lost = false;
};

// Invariant 9.
TEST_F(SweepCrewTest, no_batch_sends_once_a_lock_in_a_database_is_lost) {
  LosableHold hold;
  world_.holds = {&hold};
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta&) {
    hold.lost = true;
    world_.clock.advance(2s);
  };
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_EQ(report.failure.value().code, ErrorCode::locked);
  EXPECT_EQ(report.figures.orphans_deleted, 0U);
  EXPECT_LE(report.figures.deletion_failures, 12U);
  expect_sums_up(report);
  expect_journal_is_true(report);
  EXPECT_THAT(world_.journal.in_doubt("").value(), IsEmpty());
}

// Invariant 12, with a clock that runs while others send.
TEST_F(SweepCrewTest, nothing_leaves_on_a_verdict_older_than_its_window) {
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta&) { world_.clock.advance(700ms); };
  const SweepReport report = world_.sweep_only(plan);
  expect_sums_up(report);
  expect_journal_is_true(report);
  EXPECT_EQ(report.untouched, 0U);
}

// Invariant 6: what is in doubt is settled once, when the last of the requests has surely ended.
TEST_F(SweepCrewTest, what_is_in_doubt_in_several_batches_is_settled_after_the_last_of_them) {
  world_.store.set_settle_delay(20s);
  const ApprovedPlan plan = world_.approved_plan();
  class Lossy final : public FaultyStore {
   public:
    Lossy(World& world) : FaultyStore(world.store, {}), world_(world) {}
    Result<std::vector<RemoveOutcome>> remove(std::span<const ObjectMeta> objects, const SendGate& gate) override {
      TRY(FaultyStore::remove(objects, gate));
      auto last = last_sent.lock();
      *last = std::max(*last, world_.clock.boot_now());
      return Error{ErrorCode::in_doubt, "no answer"};
    }
    RemoveOutcome settle(const ObjectMeta& object) override {
      EXPECT_GE(world_.clock.boot_now() - *last_sent.lock(), 20s);
      ++settled;
      return FaultyStore::settle(object);
    }
    Guarded<BootTime> last_sent;
    int settled = 0;

   private:
    World& world_;
  };
  Lossy store(world_);
  world_.store_port = &store;
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_EQ(store.settled, kOrphans);
  EXPECT_EQ(report.figures.orphans_deleted, kOrphans);
  expect_journal_is_true(report);
}

TEST_F(SweepCrewTest, the_number_at_once_may_be_found_by_itself) {
  world_.policy.delete_workers.reset();
  const SweepReport report = world_.sweep_only(world_.approved_plan());
  EXPECT_EQ(report.figures.orphans_deleted, kOrphans);
  expect_journal_is_true(report);
}

// The wait comes before the recheck: a slow sweep never sends on an old verdict.
TEST_F(SweepCrewTest, keeps_to_its_rate_and_rechecks_after_the_wait) {
  world_.policy.max_rate = 2;
  world_.policy.delete_workers = 1;
  const ApprovedPlan plan = world_.approved_plan();
  BootTime asked;
  world_.source().data().before_read = [&] { asked = world_.clock.boot_now(); };
  world_.store.before_remove = [&](const ObjectMeta&) { EXPECT_EQ(world_.clock.boot_now(), asked); };
  const BootTime begun = world_.clock.boot_now();
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_EQ(report.figures.orphans_deleted, kOrphans);
  EXPECT_GE(world_.clock.boot_now() - begun, 29s) << "60 objects, two per second, the last ones at once";
  EXPECT_LE(world_.clock.boot_now() - begun, 31s);
  EXPECT_EQ(world_.journal.intents(), kOrphans / 2U) << "no batch takes more than a second has";
}

TEST_F(SweepCrewTest, a_wait_for_the_rate_ends_when_asked_to_stop) {
  world_.policy.max_rate = 1;
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta&) { world_.stop.request_stop(); };
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_TRUE(report.interrupted);
  EXPECT_LE(report.figures.orphans_deleted, 4U);
}

}  // namespace
}  // namespace heimdall::testing
