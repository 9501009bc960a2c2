#include "state/pruning.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>

#include "state/test_support.h"

namespace heimdall {
namespace {

using std::chrono::days;
using std::chrono::hours;
using testing::all_with;
using testing::ended_with;
using testing::FakeClock;
using testing::in_child;
using testing::some_object;
using testing::some_objects;
using testing::TempDir;
using testing::was_killed;
using ::testing::ElementsAre;

constexpr days kKeep{90};

class PruningTest : public ::testing::Test {
 protected:
  PruningTest() { open(); }

  void open() {
    database_.reset();
    database_ = std::move(StateDatabase::open(*StateDirectory::open(temp_.path()), clock_)->database);
  }
  RunReport run(const std::string& id, const std::string& command, days age, RunStatus status = RunStatus::success) {
    RunReport report;
    report.run_id = id;
    report.command = command;
    report.status = status;
    report.started_at = clock_.now() - age;
    if (status != RunStatus::running) report.completed_at = report.started_at + hours(1);
    return report;
  }
  void save(const RunReport& report) { ASSERT_TRUE(database_->save_run(report).has_value()); }
  void save_scan(const std::string& id, days age, const std::string& bucket = "raw", const std::string& command = "scan",
                 RunStatus status = RunStatus::success) {
    RunReport report = run(id, command, age, status);
    report.buckets[bucket].total_objects = 10;
    report.scanned = {bucket};
    save(report);
  }
  // A run that swept and deleted `count` objects.
  void save_sweep(const std::string& id, days age, int count) {
    RunReport report = run(id, "apply", age);
    report.buckets["raw"].orphans_deleted = static_cast<std::uint64_t>(count);
    report.sweeps["raw"].workers = 1;
    save(report);
    const auto objects = some_objects(count);
    ASSERT_TRUE(database_->intend(id, "raw", "id", objects).has_value());
    ASSERT_TRUE(database_->record(id, all_with(objects, Outcome::deleted)).has_value());
    ASSERT_TRUE(database_->flush().has_value());
  }
  Pruned prune() {
    auto pruned = database_->prune(clock_.now(), kKeep);
    EXPECT_TRUE(pruned.has_value()) << pruned.error().message;
    return *pruned;
  }
  std::vector<std::string> ids() {
    std::vector<std::string> found;
    const auto runs = database_->runs(1000);
    for (const RunReport& report : *runs) found.push_back(report.run_id);
    return found;
  }
  std::size_t journal_rows(const std::string& id) {
    std::size_t rows = 0;
    EXPECT_TRUE(database_->deletions(id, [&](const Deletion&) -> Result<void> {
      ++rows;
      return {};
    }).has_value());
    return rows;
  }

  const TempDir temp_;
  FakeClock clock_;
  std::unique_ptr<StateDatabase> database_;
};

TEST_F(PruningTest, old_runs_go_with_their_journal_and_the_others_stay) {
  save_sweep("old", days(91), 5);
  save_sweep("young", days(89), 6);
  save_scan("scan", days(1));
  EXPECT_EQ(prune(), (Pruned{.runs = 1, .journal_rows = 5}));
  EXPECT_THAT(ids(), ElementsAre("scan", "young"));
  EXPECT_EQ(journal_rows("old"), 0U);
  EXPECT_EQ(journal_rows("young"), 6U);
  EXPECT_TRUE((*database_->run("young"))->sweeps.contains("raw"));
  EXPECT_EQ(prune(), Pruned{});
}

TEST_F(PruningTest, a_run_counts_from_its_end) {
  RunReport report = run("long", "apply", days(100));
  report.completed_at = clock_.now() - days(80);
  save(report);
  save_scan("scan", days(1));
  EXPECT_EQ(prune(), Pruned{});
}

TEST_F(PruningTest, a_run_with_something_in_doubt_stays_whole) {
  save_sweep("doubt", days(200), 3);
  ASSERT_TRUE(database_->intend("doubt", "raw", "id", std::vector{some_object("lost")}).has_value());
  save_scan("scan", days(1));
  EXPECT_EQ(prune(), Pruned{});
  EXPECT_EQ(journal_rows("doubt"), 4U);
  ASSERT_TRUE(database_->record("doubt", all_with({some_object("lost")}, Outcome::already_gone)).has_value());
  ASSERT_TRUE(database_->flush().has_value());
  EXPECT_EQ(prune().runs, 1U);
}

TEST_F(PruningTest, a_run_under_way_stays) {
  save(run("running", "apply", days(200), RunStatus::running));
  save_scan("scan", days(1));
  EXPECT_EQ(prune(), Pruned{});
}

TEST_F(PruningTest, the_newest_run_stays_however_old_it_is) {
  save(run("r1", "apply", days(201)));
  save(run("r2", "apply", days(200)));
  EXPECT_EQ(prune().runs, 1U);
  EXPECT_THAT(ids(), ElementsAre("r2"));
}

TEST_F(PruningTest, the_last_scan_of_each_bucket_stays) {
  save_scan("raw-1", days(300));
  save_scan("raw-2", days(299));
  save_scan("audio-1", days(298), "audio");
  save_scan("audio-2", days(297), "audio");
  save_scan("audio-3", days(296), "audio", "scan", RunStatus::failed);  // complete all the same
  save(run("newest", "doctor", days(1)));
  EXPECT_EQ(prune().runs, 3U);
  EXPECT_THAT(ids(), ElementsAre("newest", "audio-3", "raw-2"));
  EXPECT_TRUE(database_->last_figures("raw")->has_value());
  EXPECT_TRUE(database_->last_figures("audio")->has_value());
}

TEST_F(PruningTest, points_of_days_outlive_their_runs) {
  save_scan("r1", days(95));
  save_scan("r2", days(1));
  EXPECT_EQ(prune().runs, 1U);
  EXPECT_EQ(database_->bucket_history("raw", {})->size(), 2U);
}

TEST_F(PruningTest, used_plans_are_remembered_as_long_as_their_runs_and_two_days_at_least) {
  save_scan("scan", days(0));
  ASSERT_TRUE(database_->use_plan("first", "r1").has_value());
  clock_.advance(hours(47));
  ASSERT_TRUE(database_->use_plan("second", "r2").has_value());
  EXPECT_EQ(database_->prune(clock_.now(), hours(1))->plans, 0U);
  clock_.advance(hours(2));
  EXPECT_EQ(database_->prune(clock_.now(), days(90))->plans, 0U);
  EXPECT_EQ(database_->prune(clock_.now(), hours(1))->plans, 1U);
  EXPECT_FALSE(database_->plan_user("first")->has_value());
  EXPECT_EQ(*database_->plan_user("second"), "r2");
}

TEST_F(PruningTest, ends_early_when_it_is_stopped_and_goes_on_with_the_next_call) {
  save_sweep("old", days(91), 10);
  save_scan("scan", days(1));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(*database_->prune(clock_.now(), kKeep, stop.get_token()), Pruned{});
  EXPECT_EQ(prune().runs, 1U);
}

// A hundred thousand rows go while a sweep writes its intents and another process its runs: none of them waits for more than a moment.
TEST_F(PruningTest, a_sweep_beside_it_is_not_held_up) {
  constexpr int kRows = 100'000;
  save_sweep("old", days(91), kRows);
  save_scan("scan", days(1));
  int pruning[2];
  ASSERT_EQ(pipe(pruning), 0);
  database_.reset();
  const pid_t child = fork();
  if (child == 0) {
    char byte = 0;
    auto opened = StateDatabase::open(*StateDirectory::open(temp_.path()), clock_);
    if (!opened || read(pruning[0], &byte, 1) != 1) _exit(1);
    for (int i = 0; i < 20; ++i) {
      if (!opened->database->save_run(run("child-" + std::to_string(i), "stats", days(0)))) _exit(2);
    }
    _exit(0);
  }
  open();
  std::atomic<bool> ended = false;
  std::atomic<int> batches = 0;
  std::chrono::nanoseconds longest{0};
  std::jthread sweep([&] {
    while (!ended) {
      const auto batch = some_objects(100, std::to_string(batches++) + "-");
      const auto began = std::chrono::steady_clock::now();
      EXPECT_TRUE(database_->intend("new", "raw", "id", batch).has_value());
      longest = std::max<std::chrono::nanoseconds>(longest, std::chrono::steady_clock::now() - began);
      EXPECT_TRUE(database_->record("new", all_with(batch, Outcome::deleted)).has_value());
    }
  });
  ASSERT_EQ(write(pruning[1], "x", 1), 1);
  const Pruned pruned = prune();
  ended = true;
  sweep.join();
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(ended_with(status, 0)) << status / 256;
  EXPECT_EQ(pruned.runs, 1U);
  EXPECT_EQ(pruned.journal_rows, static_cast<std::uint64_t>(kRows));
  EXPECT_GT(batches, 10);
  EXPECT_LT(longest, std::chrono::seconds(2));  // far above what it takes, far below what one transaction for all would
  EXPECT_EQ(journal_rows("new"), 100U * static_cast<unsigned>(batches));
}

// The program that is killed: this one again, since the crash point is read once per process.
TEST(PruningCrashChild, DISABLED_prunes_until_it_is_killed) {
  const FakeClock clock;
  auto opened = StateDatabase::open(*StateDirectory::open(std::getenv("HEIMDALL_TEST_STATE")), clock);
  (void)opened->database->prune(clock.now(), kKeep);
}

TEST_F(PruningTest, killed_in_the_middle_it_leaves_a_run_with_a_part_of_its_journal) {
  save_sweep("old", days(91), 5000);
  save_scan("scan", days(1));
  database_.reset();
  const int status = in_child([&] {
    setenv("HEIMDALL_STORAGE_CRASH_AT", "state.prune.before_commit:3", 1);
    setenv("HEIMDALL_TEST_STATE", temp_.path().c_str(), 1);
    execl("/proc/self/exe", "state_tests", "--gtest_also_run_disabled_tests", "--gtest_filter=PruningCrashChild.*", "--gtest_brief=1", nullptr);
    return 9;
  });
  ASSERT_TRUE(was_killed(status)) << status;
  open();
  EXPECT_EQ(journal_rows("old"), 3000U);
  EXPECT_TRUE(database_->run("old")->has_value());
  EXPECT_EQ(prune(), (Pruned{.runs = 1, .journal_rows = 3000}));
}

}  // namespace
}  // namespace heimdall
