#include "state/bucket_days.h"

#include <gmock/gmock.h>

#include "state/test_support.h"

namespace heimdall {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::sys_days;
using testing::FakeClock;
using testing::TempDir;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::chrono::year_month_day kMonday{std::chrono::year(2026), std::chrono::November, std::chrono::day(23)};

class BucketDaysTest : public ::testing::Test {
 protected:
  BucketDaysTest() { database_ = std::move(StateDatabase::open(*StateDirectory::open(temp_.path()), clock_)->database); }

  static RunReport run(const std::string& id, const std::string& command, Timestamp started, RunStatus status = RunStatus::success) {
    RunReport report;
    report.run_id = id;
    report.command = command;
    report.status = status;
    report.started_at = started;
    return report;
  }
  // A run that listed the bucket completely and found `orphans` of 10 bytes each.
  static RunReport scan(const std::string& id, Timestamp started, std::uint64_t orphans, const std::string& command = "scan") {
    RunReport report = run(id, command, started);
    report.buckets["raw"] = figures(orphans);
    report.scanned = {"raw"};
    return report;
  }
  static BucketFigures figures(std::uint64_t orphans, std::uint64_t deleted = 0) {
    BucketFigures figures;
    figures.total_objects = 1000;
    figures.total_bytes = 10'000;
    figures.referenced_objects = 1000 - orphans;
    figures.referenced_bytes = 10 * (1000 - orphans);
    figures.orphans_found = orphans;
    figures.orphan_bytes = 10 * orphans;
    figures.due_objects = orphans / 2;
    figures.due_bytes = 10 * (orphans / 2);
    figures.orphans_deleted = deleted;
    figures.bytes_deleted = 10 * deleted;
    return figures;
  }
  void save(const RunReport& report) { ASSERT_TRUE(database_->save_run(report).has_value()); }
  std::vector<BucketDay> points(Timestamp since = {}) {
    auto history = database_->bucket_history("raw", since);
    EXPECT_TRUE(history.has_value());
    return *history;
  }

  const TempDir temp_;
  FakeClock clock_{sys_days(kMonday) + hours(12)};
  const Timestamp noon_ = clock_.now();
  std::unique_ptr<StateDatabase> database_;
};

TEST_F(BucketDaysTest, a_complete_scan_makes_the_point_of_its_day) {
  EXPECT_THAT(points(), IsEmpty());
  save(scan("r1", noon_, 40));
  EXPECT_THAT(points(), ElementsAre(BucketDay{.day = kMonday, .measured_at = noon_, .total_objects = 1000, .total_bytes = 10'000,
                                              .referenced_objects = 960, .referenced_bytes = 9600, .orphans_found = 40, .orphan_bytes = 400,
                                              .due_objects = 20, .due_bytes = 200}));
}

TEST_F(BucketDaysTest, the_last_scan_of_a_day_wins_whatever_is_saved_last) {
  save(scan("r1", noon_, 1));
  save(scan("r2", noon_ + hours(2), 2));
  save(scan("r3", noon_ + hours(1), 3));
  save(scan("r4", noon_ + hours(12), 4));  // midnight
  const auto found = points();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].orphans_found, 2U);
  EXPECT_EQ(found[1].orphans_found, 4U);
  EXPECT_EQ(found[1].day, sys_days(kMonday) + days(1));
  EXPECT_EQ(points(noon_ + hours(20)).size(), 1U);
}

TEST_F(BucketDaysTest, neither_a_scan_that_lacks_a_range_nor_one_under_way_makes_a_point) {
  RunReport report = scan("r1", noon_, 40);
  report.scanned.clear();
  report.status = RunStatus::partial;
  save(report);
  report = scan("r2", noon_, 40);
  report.status = RunStatus::running;
  save(report);
  EXPECT_THAT(points(), IsEmpty());
}

TEST_F(BucketDaysTest, of_a_run_that_failed_later_the_buckets_it_had_scanned_count) {
  RunReport report = scan("r1", noon_, 40);
  report.buckets["audio"] = figures(7);
  report.status = RunStatus::failed;
  save(report);
  EXPECT_EQ(points().size(), 1U);
  EXPECT_THAT(*database_->bucket_history("audio", {}), IsEmpty());
}

TEST_F(BucketDaysTest, an_empty_bucket_has_a_point_of_zeros) {
  RunReport report = run("r1", "stats", noon_);
  report.buckets["raw"] = {};
  report.scanned = {"raw"};
  save(report);
  EXPECT_THAT(points(), ElementsAre(BucketDay{.day = kMonday, .measured_at = noon_}));
}

TEST_F(BucketDaysTest, a_cleanup_counts_as_the_scan_that_it_was_and_adds_what_it_deleted) {
  // Both halves of one run save it: the scan, then the sweep, which knows of no scan.
  save(scan("r1", noon_, 40, "cleanup"));
  RunReport sweep = run("r1", "cleanup", noon_, RunStatus::running);
  sweep.buckets["raw"] = figures(40);
  save(sweep);
  sweep.status = RunStatus::partial;
  sweep.buckets["raw"] = figures(40, 15);
  save(sweep);
  const auto found = points();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].orphans_found, 40U);
  EXPECT_EQ(found[0].orphans_deleted, 15U);
  EXPECT_EQ(found[0].bytes_deleted, 150U);
  EXPECT_TRUE((*database_->run("r1"))->scanned.contains("raw"));
}

TEST_F(BucketDaysTest, an_apply_adds_its_deletions_and_leaves_the_figures_of_the_scan) {
  save(scan("r1", noon_, 40));
  RunReport apply = run("r2", "apply", noon_ + hours(1));
  apply.buckets["raw"] = figures(99, 10);  // those of an older plan
  save(apply);
  apply = run("r3", "apply", noon_ + hours(2));
  apply.buckets["raw"] = figures(99, 5);
  save(apply);
  const auto found = points();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].orphans_found, 40U);
  EXPECT_EQ(found[0].measured_at, noon_);
  EXPECT_EQ(found[0].orphans_deleted, 15U);
  EXPECT_EQ(found[0].bytes_deleted, 150U);
}

TEST_F(BucketDaysTest, deletions_on_a_day_without_a_scan_repeat_the_last_figures_and_say_how_old_they_are) {
  save(scan("r1", noon_, 40));
  RunReport apply = run("r2", "apply", noon_ + hours(20));
  apply.buckets["raw"] = figures(99, 10);
  save(apply);
  const auto found = points();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].orphans_deleted, 0U);
  EXPECT_EQ(found[1].orphans_found, 40U);
  EXPECT_EQ(found[1].measured_at, noon_);
  EXPECT_EQ(found[1].orphans_deleted, 10U);
  save(scan("r3", noon_ + hours(21), 30));
  EXPECT_EQ(points()[1].orphans_found, 30U);
  EXPECT_EQ(points()[1].orphans_deleted, 10U);
}

TEST_F(BucketDaysTest, deletions_before_any_scan_take_the_figures_of_their_plan) {
  RunReport apply = run("r1", "apply", noon_);
  apply.buckets["raw"] = figures(99, 10);
  save(apply);
  ASSERT_EQ(points().size(), 1U);
  EXPECT_EQ(points()[0].orphans_found, 99U);
  EXPECT_EQ(points()[0].orphans_deleted, 10U);
}

TEST_F(BucketDaysTest, deletions_are_counted_once_however_often_a_run_is_saved) {
  RunReport apply = run("r1", "apply", noon_, RunStatus::running);
  apply.buckets["raw"] = figures(40);
  save(apply);
  for (const std::uint64_t deleted : {10U, 10U, 25U, 20U}) {  // recover may find fewer than the run believed
    apply.status = RunStatus::partial;
    apply.buckets["raw"] = figures(40, deleted);
    save(apply);
  }
  EXPECT_EQ(points()[0].orphans_deleted, 20U);
  EXPECT_EQ(points()[0].bytes_deleted, 200U);
}

TEST_F(BucketDaysTest, what_recover_finds_counts_for_the_day_of_its_run) {
  RunReport apply = run("r1", "apply", noon_, RunStatus::interrupted);
  apply.buckets["raw"] = figures(40, 10);
  save(apply);
  save(scan("r2", noon_ + hours(24), 30));
  apply.status = RunStatus::partial;
  apply.completed_at = noon_ + hours(25);
  apply.buckets["raw"] = figures(40, 12);
  save(apply);
  EXPECT_EQ(points()[0].orphans_deleted, 12U);
  EXPECT_EQ(points()[1].orphans_deleted, 0U);
}

TEST_F(BucketDaysTest, older_points_are_thinned_to_the_last_of_each_week_with_all_that_it_deleted) {
  constexpr int kDays = 200;
  for (int i = 0; i < kDays; ++i) {
    RunReport report = scan("r" + std::to_string(i), noon_ - days(i), static_cast<std::uint64_t>(i));
    report.buckets["raw"].orphans_deleted = 1;
    report.buckets["raw"].bytes_deleted = 10;
    save(report);
  }
  const auto pruned = database_->prune(noon_, days(10'000));
  ASSERT_TRUE(pruned.has_value()) << pruned.error().message;
  const auto kept = points();
  EXPECT_EQ(kept.size() + pruned->days, 200U);
  std::uint64_t deleted = 0;
  std::size_t daily = 0;
  for (const BucketDay& point : kept) {
    deleted += point.orphans_deleted;
    if (point.day > sys_days(kMonday) - days(90)) {
      ++daily;
    } else if (point.orphans_deleted > 1) {
      EXPECT_EQ(std::chrono::weekday(point.day), std::chrono::Sunday);
    }
  }
  EXPECT_EQ(deleted, 200U);
  EXPECT_EQ(daily, 90U);
  // 90 days before a Monday it is a Tuesday: its week is thinned when it is over, so its Monday is still there. The first week is not a whole one.
  EXPECT_EQ(kept.size(), 92U + (kDays - 92U + 6U) / 7U);
  EXPECT_EQ(kept.front().orphans_found % 7, 1U);  // a Sunday
  const auto again = database_->prune(noon_, days(10'000));
  EXPECT_EQ(*again, Pruned{});
  EXPECT_EQ(points(), kept);
}

TEST_F(BucketDaysTest, points_are_kept_for_two_years) {
  save(scan("r1", noon_ - days(731), 1));
  save(scan("r2", noon_ - days(729), 2));
  ASSERT_TRUE(database_->prune(noon_, days(10'000)).has_value());
  ASSERT_EQ(points().size(), 1U);
  EXPECT_EQ(points()[0].orphans_found, 2U);
}

}  // namespace
}  // namespace heimdall
