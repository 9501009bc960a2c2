#include <gmock/gmock.h>

#include <algorithm>

#include "state/test_support.h"

// What every history promises is in tests/contract/journal_contract.cc; here is how the state database is asked for runs.

namespace heimdall {
namespace {

using std::chrono::minutes;
using testing::FakeClock;
using testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RunRowsTest : public ::testing::Test {
 protected:
  RunRowsTest() { database_ = std::move(StateDatabase::open(*StateDirectory::open(temp_.path()), clock_)->database); }

  void save(const std::string& id, int minute, const std::string& command, RunStatus status, const std::string& bucket) {
    RunReport report;
    report.run_id = id;
    report.command = command;
    report.status = status;
    report.started_at = clock_.now() + minutes(minute);
    report.buckets[bucket].total_objects = 1;
    ASSERT_TRUE(database_->save_run(report).has_value());
  }
  void save_some() {
    save("a", 1, "scan", RunStatus::success, "raw");
    save("b", 2, "stats", RunStatus::success, "raw");
    save("d", 3, "stats", RunStatus::failed, "audio");
    save("c", 3, "cleanup", RunStatus::success, "audio");
    save("e", 4, "stats", RunStatus::success, "audio");
  }
  std::vector<std::string> ids(const RunQuery& query) {
    std::vector<std::string> found;
    auto runs = database_->runs(query);
    EXPECT_TRUE(runs.has_value());
    for (const RunReport& report : *runs) found.push_back(report.run_id);
    return found;
  }

  const TempDir temp_;
  FakeClock clock_;
  std::unique_ptr<StateDatabase> database_;
};

TEST_F(RunRowsTest, runs_are_chosen_by_command_status_and_bucket) {
  save_some();
  EXPECT_THAT(ids({}), ElementsAre("e", "d", "c", "b", "a"));
  EXPECT_THAT(ids({.command = "stats"}), ElementsAre("e", "d", "b"));
  EXPECT_THAT(ids({.status = RunStatus::failed}), ElementsAre("d"));
  EXPECT_THAT(ids({.bucket = "audio"}), ElementsAre("e", "d", "c"));
  EXPECT_THAT(ids({.limit = 1, .command = "stats", .status = RunStatus::success, .bucket = "audio"}), ElementsAre("e"));
  EXPECT_THAT(ids({.command = "' OR 1 = 1 --"}), IsEmpty());
}

TEST_F(RunRowsTest, pages_follow_each_other_without_gap_or_repetition) {
  save_some();
  std::vector<std::string> all;
  RunQuery query{.limit = 2};
  for (;;) {
    const auto page = ids(query);
    if (page.empty()) break;
    all.insert(all.end(), page.begin(), page.end());
    query.before = page.back();
  }
  EXPECT_THAT(all, ElementsAre("e", "d", "c", "b", "a"));
  EXPECT_THAT(ids({.before = "d", .command = "stats"}), ElementsAre("b"));
}

TEST_F(RunRowsTest, a_page_behind_an_unknown_run_is_an_error_that_says_so) {
  save_some();
  const auto page = database_->runs(RunQuery{.before = "zzz"});
  ASSERT_FALSE(page.has_value());
  EXPECT_EQ(page.error().code, ErrorCode::not_found);
  EXPECT_THAT(page.error().message, HasSubstr("no run 'zzz'"));
}

TEST_F(RunRowsTest, figures_know_what_was_deleted_since_the_scan) {
  const auto save = [&](int minute, std::uint64_t total, std::uint64_t deleted, bool scanned) {
    RunReport report;
    report.run_id = std::to_string(minute);
    report.command = scanned ? "cleanup" : "apply";
    report.status = scanned ? RunStatus::interrupted : RunStatus::success;
    report.started_at = clock_.now() + minutes(minute);
    report.buckets["raw"].total_objects = total;
    report.buckets["raw"].orphans_deleted = deleted;
    report.buckets["raw"].bytes_deleted = deleted * 10;
    if (scanned) report.scanned = {"raw"};
    ASSERT_TRUE(database_->save_run(report).has_value());
  };
  save(1, 13, 1, true);
  save(2, 513, 100, true);
  save(3, 13, 3, false);  // carried out an old plan
  const auto measured = *database_->last_measured("raw");
  ASSERT_TRUE(measured.has_value());
  EXPECT_EQ(measured->at, clock_.now() + minutes(2));
  EXPECT_EQ(measured->figures.total_objects, 513U);
  EXPECT_EQ(measured->figures.orphans_deleted, 103U);
  EXPECT_EQ(measured->figures.bytes_deleted, 1030U);
}

TEST_F(RunRowsTest, attempts_say_when_each_kind_of_run_began_last_and_when_one_ended_well) {
  const auto save = [&](int minute, const std::string& trigger, RunStatus status) {
    RunReport report;
    report.run_id = std::to_string(minute);
    report.command = "cleanup";
    report.trigger = trigger;
    report.status = status;
    report.started_at = clock_.now() + minutes(minute);
    report.completed_at = report.started_at + std::chrono::seconds(10);
    ASSERT_TRUE(database_->save_run(report).has_value());
  };
  save(1, "schedule nightly", RunStatus::success);
  save(3, "schedule nightly", RunStatus::failed);
  save(2, "schedule nightly", RunStatus::partial);
  save(4, "api", RunStatus::refused);
  auto attempts = *database_->attempts();
  std::sort(attempts.begin(), attempts.end(), [](const auto& a, const auto& b) { return a.trigger < b.trigger; });
  ASSERT_EQ(attempts.size(), 2U);
  EXPECT_EQ(attempts[0].last_attempt, clock_.now() + minutes(4));
  EXPECT_EQ(attempts[0].last_success, std::nullopt);
  EXPECT_EQ(attempts[1].command, "cleanup");
  EXPECT_EQ(attempts[1].last_attempt, clock_.now() + minutes(3));
  EXPECT_EQ(attempts[1].last_success, clock_.now() + minutes(1) + std::chrono::seconds(10));
}

TEST_F(RunRowsTest, schedule_marks_are_kept_apart_and_across_a_restart) {
  EXPECT_FALSE(database_->schedule_mark("nightly")->has_value());
  ASSERT_TRUE(database_->save_schedule_mark("nightly", clock_.now()).has_value());
  ASSERT_TRUE(database_->save_schedule_mark("hourly", clock_.now() + minutes(5)).has_value());
  ASSERT_TRUE(database_->save_schedule_mark("nightly", clock_.now() - minutes(5)).has_value());
  database_.reset();
  database_ = std::move(StateDatabase::open(*StateDirectory::open(temp_.path()), clock_)->database);
  EXPECT_EQ(*database_->schedule_mark("nightly"), clock_.now() - minutes(5));
  EXPECT_EQ(*database_->schedule_mark("hourly"), clock_.now() + minutes(5));
}

}  // namespace
}  // namespace heimdall
