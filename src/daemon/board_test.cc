#include "daemon/board.h"

#include <gtest/gtest.h>

namespace heimdall {
namespace {

using namespace std::chrono_literals;

const Timestamp kNow{1795392856s};

BucketBoard configured(std::string name, std::string store = "minio") {
  BucketBoard bucket;
  bucket.name = std::move(name);
  bucket.store = std::move(store);
  return bucket;
}

// 10 objects of 10 bytes each: 4 referenced, 1 young, 2 in grace, 3 due.
BucketFigures scanned() {
  BucketFigures figures;
  figures.total_objects = 10;
  figures.total_bytes = 100;
  figures.referenced_objects = 4;
  figures.referenced_bytes = 40;
  figures.orphans_found = 6;
  figures.orphan_bytes = 60;
  figures.young_objects = 1;
  figures.in_grace_objects = 2;
  figures.in_grace_bytes = 20;
  figures.due_objects = 3;
  figures.due_bytes = 30;
  return figures;
}

BucketFigures swept(std::uint64_t objects) {
  BucketFigures figures = scanned();
  figures.orphans_deleted = objects;
  figures.bytes_deleted = objects * 10;
  return figures;
}

RunOutcome outcome_of(const std::string& bucket, const BucketFigures& figures, Timestamp started = kNow) {
  RunOutcome outcome;
  outcome.report.status = RunStatus::success;
  outcome.report.started_at = started;
  outcome.report.buckets[bucket] = figures;
  outcome.report.scanned = {bucket};
  return outcome;
}

RunRequest request_of(Task task) {
  RunRequest request;
  request.task = task;
  return request;
}

TEST(BoardTest, says_what_is_in_doubt_until_it_no_longer_is) {
  Board board({configured("photos"), configured("audio")});
  board.set_in_doubt({{"photos", 3}, {"unknown", 1}});
  board.replace({configured("photos")});
  EXPECT_EQ(board.bucket("photos")->in_doubt, 3U);
  board.set_in_doubt({});
  EXPECT_EQ(board.bucket("photos")->in_doubt, 0U);
}

TEST(BoardTest, knows_nothing_of_a_bucket_until_it_was_scanned) {
  const Board board({configured("photos")});
  const auto bucket = board.bucket("photos");
  ASSERT_TRUE(bucket);
  EXPECT_EQ(bucket->figures, BucketFigures());
  EXPECT_FALSE(bucket->measured_at);
  EXPECT_FALSE(board.bucket("other"));
}

TEST(BoardTest, shows_the_figures_of_a_scan_and_when_it_began) {
  Board board({configured("photos"), configured("audio")});
  const std::uint64_t before = board.version();
  board.run_ended(request_of(Task::stats), outcome_of("photos", scanned()));
  EXPECT_EQ(board.bucket("photos")->figures, scanned());
  EXPECT_EQ(board.bucket("photos")->measured_at, kNow);
  EXPECT_FALSE(board.bucket("audio")->measured_at) << "it was not in the run";
  EXPECT_NE(board.version(), before);
}

TEST(BoardTest, takes_off_what_a_cleanup_deleted) {
  Board board({configured("photos")});
  board.run_ended(request_of(Task::cleanup), outcome_of("photos", swept(2)));
  const BucketFigures figures = board.bucket("photos")->figures;
  EXPECT_EQ(figures.total_objects, 8U);
  EXPECT_EQ(figures.total_bytes, 80U);
  EXPECT_EQ(figures.orphans_found, 4U);
  EXPECT_EQ(figures.orphan_bytes, 40U);
  EXPECT_EQ(figures.due_objects, 1U);
  EXPECT_EQ(figures.due_bytes, 10U);
  EXPECT_EQ(figures.in_grace_objects, 2U);
  EXPECT_EQ(figures.referenced_objects, 4U);
  EXPECT_EQ(figures.orphans_deleted, 0U);
  EXPECT_EQ(without_deleted(figures), figures) << "nothing is taken off twice";
}

TEST(BoardTest, takes_from_those_in_grace_what_a_sweep_that_ignored_the_grace_deleted) {
  const BucketFigures figures = without_deleted(swept(5));
  EXPECT_EQ(figures.due_objects, 0U);
  EXPECT_EQ(figures.in_grace_objects, 0U);
  EXPECT_EQ(figures.in_grace_bytes, 0U);
  EXPECT_EQ(figures.young_objects, 1U);
  EXPECT_EQ(figures.orphans_found, 1U);
}

TEST(BoardTest, never_falls_below_zero) {
  const BucketFigures figures = without_deleted(swept(1000));
  EXPECT_EQ(figures.total_objects, 0U);
  EXPECT_EQ(figures.total_bytes, 0U);
  EXPECT_EQ(figures.orphans_found, 0U);
}

TEST(BoardTest, an_applied_plan_takes_off_what_it_deleted_from_what_is_known) {
  Board board({configured("photos")});
  board.run_ended(request_of(Task::stats), outcome_of("photos", scanned(), kNow));
  BucketFigures of_an_old_plan = swept(3);
  of_an_old_plan.total_objects = 7777;
  RunOutcome applied = outcome_of("photos", of_an_old_plan, kNow + 1h);
  applied.report.scanned = {};
  board.run_ended(request_of(Task::apply), applied);
  EXPECT_EQ(board.bucket("photos")->figures.total_objects, 7U);
  EXPECT_EQ(board.bucket("photos")->figures.due_objects, 0U);
  EXPECT_EQ(board.bucket("photos")->measured_at, kNow);
}

TEST(BoardTest, a_run_that_failed_leaves_the_figures_as_they_were) {
  Board board({configured("photos")});
  board.run_ended(request_of(Task::stats), outcome_of("photos", scanned()));
  RunOutcome failed;
  failed.report.status = RunStatus::failed;
  failed.report.started_at = kNow + 1h;
  failed.error = Error{ErrorCode::unavailable, "the store is away"};
  board.run_ended(request_of(Task::stats), failed);
  EXPECT_EQ(board.bucket("photos")->figures, scanned());
  EXPECT_EQ(board.bucket("photos")->measured_at, kNow);
}

TEST(BoardTest, a_bucket_that_was_listed_in_part_keeps_its_figures_and_the_others_get_theirs) {
  Board board({configured("photos"), configured("audio")});
  board.run_ended(request_of(Task::stats), outcome_of("photos", scanned()));
  BucketFigures part;
  part.total_objects = 2;
  RunOutcome outcome = outcome_of("photos", part, kNow + 1h);
  outcome.report.status = RunStatus::partial;
  outcome.report.buckets["audio"] = scanned();
  outcome.report.scanned = {"audio"};
  board.run_ended(request_of(Task::stats), outcome);
  EXPECT_EQ(board.bucket("photos")->figures, scanned());
  EXPECT_EQ(board.bucket("photos")->measured_at, kNow);
  EXPECT_EQ(board.bucket("audio")->measured_at, kNow + 1h);
}

TEST(BoardTest, restores_figures_of_the_history_less_what_was_deleted) {
  Board board({configured("photos")});
  board.set_figures("photos", swept(3), kNow);
  board.set_figures("unknown", scanned(), kNow);
  EXPECT_EQ(board.bucket("photos")->figures.total_objects, 7U);
  EXPECT_EQ(board.bucket("photos")->measured_at, kNow);
  board.set_figures("photos", scanned(), kNow - 1h);
  EXPECT_EQ(board.bucket("photos")->figures.total_objects, 7U) << "older ones change nothing";
}

TEST(BoardTest, a_new_configuration_keeps_what_is_known_of_buckets_that_stay) {
  Board board({configured("photos"), configured("audio"), configured("old")});
  board.run_ended(request_of(Task::stats), outcome_of("photos", scanned()));
  board.run_ended(request_of(Task::stats), outcome_of("audio", scanned()));
  board.set_capacity("minio", {1000, 600, 400});
  board.replace({configured("photos"), configured("audio", "elsewhere"), configured("new")});
  EXPECT_EQ(board.bucket("photos")->figures, scanned());
  EXPECT_FALSE(board.bucket("audio")->measured_at) << "another store: another bucket";
  EXPECT_FALSE(board.bucket("audio")->capacity);
  EXPECT_EQ(board.bucket("new")->capacity, (StoreCapacity{1000, 600, 400}));
  EXPECT_FALSE(board.bucket("old"));
}

TEST(BoardTest, all_buckets_of_a_store_know_its_capacity) {
  Board board({configured("photos"), configured("audio", "media")});
  board.set_capacity("minio", {1000, 600, 400});
  EXPECT_EQ(board.bucket("photos")->capacity, (StoreCapacity{1000, 600, 400}));
  EXPECT_FALSE(board.bucket("audio")->capacity);
}

}  // namespace
}  // namespace heimdall
