#include "pipeline/sweep/recover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/format.h"
#include "pipeline/test_world.h"
#include "testing/faulty_store.h"

namespace heimdall::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::SizeIs;

// A run "killed" left three objects in doubt.
class RecoverTest : public ::testing::Test {
 protected:
  RecoverTest() {
    world_.store.set_settle_delay(20s);
    for (const char* key : {"a", "b", "c"}) objects_.push_back(world_.put_old(key));
    EXPECT_TRUE(world_.journal.intend("killed", "raw", "fake:1", objects_).has_value());
    save("killed", RunStatus::interrupted);
  }
  void save(const std::string& id, RunStatus status) {
    RunReport report;
    report.run_id = id;
    report.command = "apply";
    report.status = status;
    report.started_at = world_.clock.now();
    report.buckets["raw"].due_objects = 3;
    EXPECT_TRUE(world_.history.save_run(report).has_value());
  }
  RunReport report_of(const std::string& id) { return world_.history.run(id).value().value(); }
  std::size_t in_doubt() { return world_.journal.in_doubt("").value().size(); }

  World world_;
  std::vector<ObjectMeta> objects_;
};

// Invariant 6: deleted only because our request went out and the key is absent now.
TEST_F(RecoverTest, settles_each_key_by_what_is_there) {
  world_.store.erase("a");
  world_.store.put("b");
  const auto report = world_.recover_all();
  ASSERT_TRUE(report.has_value());
  EXPECT_THAT(report->settled, SizeIs(3));
  EXPECT_EQ(world_.outcome("a"), Outcome::deleted);
  EXPECT_EQ(world_.outcome("b"), Outcome::skipped_changed);
  EXPECT_EQ(world_.outcome("c"), Outcome::failed);
  EXPECT_TRUE(world_.store.contains("b") && world_.store.contains("c")) << "recover looks, it does not delete";
  EXPECT_EQ(in_doubt(), 0U);
}

TEST_F(RecoverTest, looks_only_after_the_store_has_stopped_acting) {
  world_.clock.advance(5s);
  ASSERT_TRUE(world_.recover_all().has_value());
  EXPECT_EQ(world_.clock.slept(), 15s);
}

TEST_F(RecoverTest, does_not_wait_for_what_is_long_over) {
  world_.clock.advance(1h);
  ASSERT_TRUE(world_.recover_all().has_value());
  EXPECT_EQ(world_.clock.slept(), 0s);
}

TEST_F(RecoverTest, a_clock_that_was_set_back_neither_shortens_the_wait_nor_repeats_it_per_key) {
  world_.clock.set_now(world_.clock.now() - 3h);
  ASSERT_TRUE(world_.recover_all().has_value());
  EXPECT_EQ(world_.clock.slept(), 20s);
  EXPECT_EQ(in_doubt(), 0U);
}

TEST_F(RecoverTest, records_under_the_run_that_sent_it_and_refreshes_its_report) {
  world_.store.erase("a");
  world_.store.erase("b");
  ASSERT_TRUE(world_.recover_all().has_value());
  std::vector<Outcome> outcomes;
  ASSERT_TRUE(world_.journal.deletions("killed", [&](const Deletion& deletion) -> Result<void> {
    outcomes.push_back(deletion.outcome);
    return {};
  }).has_value());
  EXPECT_THAT(outcomes, ::testing::ElementsAre(Outcome::deleted, Outcome::deleted, Outcome::failed));
  const RunReport report = report_of("killed");
  EXPECT_EQ(report.status, RunStatus::partial);
  EXPECT_TRUE(report.completed_at.has_value());
  EXPECT_EQ(report.buckets.at("raw").orphans_deleted, 2U);
  EXPECT_EQ(report.buckets.at("raw").bytes_deleted, 20U);
  EXPECT_EQ(report.buckets.at("raw").deletion_failures, 1U);
  EXPECT_EQ(report.buckets.at("raw").due_objects, 3U) << "what the scan found stays";
}

TEST_F(RecoverTest, counts_a_run_that_was_killed_with_nothing_in_doubt) {
  ASSERT_TRUE(world_.recover_all().has_value());
  RunReport report = report_of("killed");
  report.run_id = "killed-between-batches";
  report.status = RunStatus::interrupted;
  report.completed_at.reset();
  report.buckets.at("raw").orphans_deleted = 0;
  ASSERT_TRUE(world_.history.save_run(report).has_value());
  const Deletion deletion{"raw", objects_[0], Outcome::deleted, ""};
  ASSERT_TRUE(world_.journal.record(report.run_id, std::span(&deletion, 1)).has_value());
  ASSERT_TRUE(world_.recover_all().has_value());
  EXPECT_EQ(report_of(report.run_id).status, RunStatus::partial);
  EXPECT_EQ(report_of(report.run_id).buckets.at("raw").orphans_deleted, 1U);
}

// What has an intent only is on its way: neither deleted nor failed.
TEST_F(RecoverTest, counts_what_a_run_under_way_has_done_so_far) {
  const Deletion deletion{"raw", objects_[0], Outcome::deleted, ""};
  ASSERT_TRUE(world_.journal.record("killed", std::span(&deletion, 1)).has_value());
  RunReport report = report_of("killed");
  EXPECT_EQ(count_deletions(report, world_.journal).value(), 2U);
  EXPECT_EQ(report.buckets.at("raw").orphans_deleted, 1U);
  EXPECT_EQ(report.buckets.at("raw").deletion_failures, 2U);
  EXPECT_EQ(report.buckets.at("raw").due_objects, 3U);
  report.status = RunStatus::running;
  EXPECT_EQ(count_deletions(report, world_.journal).value(), 2U);
  EXPECT_EQ(report.buckets.at("raw").orphans_deleted, 1U);
  EXPECT_EQ(report.buckets.at("raw").deletion_failures, 0U);
}

// Else a store that hangs would hold up a start for a time-out per key.
TEST_F(RecoverTest, asks_no_more_of_a_store_that_cannot_say_a_thing) {
  for (int i = 0; i < 100; ++i) objects_.push_back(world_.put_old(format("more/{:03}", i)));
  ASSERT_TRUE(world_.journal.intend("killed", "raw", "fake:1", std::span(objects_).subspan(3)).has_value());
  class SilentStore final : public FaultyStore {
   public:
    using FaultyStore::FaultyStore;
    RemoveOutcome settle(const ObjectMeta&) override {
      ++asked;
      return {RemoveOutcome::Kind::in_doubt, "no answer"};
    }
    int asked = 0;
  } silent(world_.store, {});
  world_.store_port = &silent;
  const auto report = world_.recover_all();
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->still_in_doubt, 103U);
  EXPECT_EQ(silent.asked, 16);
  EXPECT_EQ(in_doubt(), 103U);
  world_.store_port = &world_.store;
  ASSERT_TRUE(world_.recover_all().has_value());
  EXPECT_EQ(in_doubt(), 0U);
}

TEST_F(RecoverTest, leaves_in_doubt_what_the_store_cannot_say) {
  FaultyStore faulty(world_.store, {StoreFault::error, 2, StoreCall::settle});
  world_.store_port = &faulty;
  const auto report = world_.recover_all();
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->still_in_doubt, 1U);
  EXPECT_EQ(world_.outcome("b"), Outcome::in_doubt);
  EXPECT_EQ(report_of("killed").status, RunStatus::interrupted) << "not known to its end yet";
  world_.store_port = &world_.store;
  ASSERT_TRUE(world_.recover_all().has_value());
  EXPECT_EQ(in_doubt(), 0U);
  EXPECT_EQ(report_of("killed").status, RunStatus::partial);
}

TEST_F(RecoverTest, leaves_other_buckets_alone) {
  const std::vector<ObjectMeta> elsewhere = {objects_[0]};
  ASSERT_TRUE(world_.journal.intend("other", "cooked", "fake:2", elsewhere).has_value());
  ASSERT_TRUE(world_.recover_all().has_value());
  ASSERT_EQ(in_doubt(), 1U);
  EXPECT_EQ(world_.journal.in_doubt("").value().front().bucket_identity, "fake:2");
}

TEST_F(RecoverTest, a_run_that_ended_by_itself_keeps_its_own_words) {
  RunReport report = report_of("killed");
  report.status = RunStatus::partial;
  report.completed_at = world_.clock.now();
  report.error = "the database fell silent";
  ASSERT_TRUE(world_.history.save_run(report).has_value());
  ASSERT_TRUE(world_.recover_all().has_value());
  EXPECT_EQ(report_of("killed").error, "the database fell silent");
  EXPECT_EQ(report_of("killed").completed_at, report.completed_at);
}

// A run's report must not miss what was settled before a stop.
TEST_F(RecoverTest, stopped_between_two_runs_it_has_brought_the_first_up_to_date) {
  world_.store.erase("a");
  world_.clock.advance(1h);
  const std::vector<ObjectMeta> later = {world_.put_old("d")};
  ASSERT_TRUE(world_.journal.intend("second", "raw", "fake:1", later).has_value());
  save("second", RunStatus::interrupted);
  // The wait for the second run is where the stop comes.
  class StoppingClock final : public Clock {
   public:
    explicit StoppingClock(World& world) : world_(world) {}
    Timestamp now() const override { return world_.clock.now(); }
    BootTime boot_now() const override { return world_.clock.boot_now(); }
    std::string boot_id() const override { return world_.clock.boot_id(); }
    void sleep_for(std::chrono::nanoseconds duration, std::stop_token) override {
      if (duration > 0s) world_.stop.request_stop();
    }

   private:
    World& world_;
  } clock(world_);
  const auto report = recover(world_.store, world_.journal, world_.history, clock, world_.stop.get_token());
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().code, ErrorCode::cancelled);
  EXPECT_EQ(world_.outcome("a"), Outcome::deleted);
  EXPECT_EQ(world_.outcome("d"), Outcome::in_doubt);
  EXPECT_EQ(report_of("killed").status, RunStatus::partial);
  EXPECT_EQ(report_of("killed").buckets.at("raw").orphans_deleted, 1U);
}

TEST_F(RecoverTest, an_error_of_the_journal_is_returned_and_everything_stays_in_doubt) {
  world_.journal.fail_writes(Error{ErrorCode::internal, "the disk is full"});
  EXPECT_FALSE(world_.recover_all().has_value());
  EXPECT_EQ(world_.outcome("a"), Outcome::in_doubt);
  world_.journal.fail_writes(std::nullopt);
  world_.journal.crash();
  EXPECT_TRUE(world_.recover_all().has_value());
  EXPECT_EQ(in_doubt(), 0U);
}

}  // namespace
}  // namespace heimdall::testing
