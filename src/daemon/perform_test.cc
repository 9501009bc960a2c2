#include "daemon/perform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/test_place.h"
#include "base/ids.h"
#include "daemon/test_runs.h"
#include "state/state_database.h"
#include "testing/fake_state.h"

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using testing::Place;

class NoTraffic final : public StoreTraffic {
 public:
  void request_began(std::string_view, std::string_view) override {}
  void request_ended(std::string_view, std::string_view, std::string_view, std::chrono::nanoseconds) override {}
  void request_retried(std::string_view, std::string_view) override {}
};

class RecordedProgress final : public Progress {
 public:
  void begin(std::string_view phase, std::string_view, std::optional<std::uint64_t>) override {
    if (phase == throw_in) throw std::bad_alloc();
  }
  void advance(std::uint64_t) override {}
  void end() override {}
  void warn(std::string_view message) override { warnings.emplace_back(message); }
  std::vector<std::string> warnings;
  std::string throw_in;
};

// Two rows with an object each, and one orphan that is due; the state database of the service is open all the time.
class PerformTest : public ::testing::Test {
 protected:
  PerformTest() {
    for (const std::string name : {"1", "2", "orphan"}) {
      place_.put("a/" + name);
      std::filesystem::last_write_time(file("a/" + name), std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * 90));
      if (name != "orphan") place_.execute("INSERT INTO photos VALUES('a/" + name + "')");
    }
    config_ = place_.config("    grace: 0s\n    mode: delete\n" + Place::plain_references());
    config_.stores.front().directory.age = DirectoryAge::modification;
    open_state();
  }

  void open_state() {
    auto directory = StateDirectory::open(config_.state);
    ASSERT_TRUE(directory.has_value());
    auto opened = StateDatabase::open(*directory, clock_);
    ASSERT_TRUE(opened.has_value());
    state_ = std::move(opened->database);
  }
  std::filesystem::path file(const std::string& key) const { return place_.root() / "media" / key; }
  RunOutcome run(RunRequest request, std::stop_token stop = {}) {
    request.trigger = "schedule nightly";
    const PerformRun perform = make_perform({[this] { return std::make_shared<const Config>(config_); }, clock_, log_, traffic_, *state_});
    run_id_ = new_run_id(clock_);
    return perform(request, run_id_, progress_, std::move(stop));
  }
  std::optional<RunReport> saved() {
    auto report = state_->run(run_id_);
    EXPECT_TRUE(report.has_value());
    return report.has_value() ? *report : std::nullopt;
  }

  Place place_;
  SystemClock clock_;
  testing::RecordedLog log_;
  NoTraffic traffic_;
  RecordedProgress progress_;
  Config config_;
  std::unique_ptr<StateDatabase> state_;
  std::string run_id_;
};

TEST_F(PerformTest, a_cleanup_deletes_what_is_due_and_logs_each_deletion) {
  const RunOutcome outcome = run({.task = Task::cleanup});
  ASSERT_FALSE(outcome.error.has_value()) << outcome.error->message;
  EXPECT_FALSE(std::filesystem::exists(file("a/orphan")));
  EXPECT_TRUE(std::filesystem::exists(file("a/1")));
  EXPECT_EQ(outcome.report.run_id, run_id_);
  EXPECT_EQ(outcome.report.buckets.at("photos").orphans_deleted, 1U);
  ASSERT_TRUE(saved().has_value());
  EXPECT_EQ(saved()->status, RunStatus::success);
  EXPECT_EQ(saved()->command, "cleanup");
  const auto lines = log_.of("object.deleted");
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_EQ(lines[0].level, LogLevel::debug);
  EXPECT_EQ(lines[0].fields.at("run_id"), run_id_);
  EXPECT_EQ(lines[0].fields.at("bucket"), "photos");
  EXPECT_EQ(lines[0].fields.at("key"), "a/orphan");
  EXPECT_EQ(lines[0].fields.at("size_bytes"), "1");
  EXPECT_EQ(lines[0].fields.at("outcome"), "deleted");
}

TEST_F(PerformTest, a_dry_run_deletes_nothing) {
  const RunOutcome outcome = run({.task = Task::cleanup, .dry_run = RunReport::DryRun::yes});
  EXPECT_TRUE(outcome.report.dry_run);
  EXPECT_EQ(outcome.report.buckets.at("photos").due_objects, 1U);
  EXPECT_TRUE(std::filesystem::exists(file("a/orphan")));
}

TEST_F(PerformTest, stats_take_figures) {
  const RunOutcome outcome = run({.task = Task::stats});
  EXPECT_EQ(outcome.report.status, RunStatus::success);
  EXPECT_EQ(outcome.report.buckets.at("photos").total_objects, 3U);
  EXPECT_EQ(saved()->command, "stats");
}

TEST_F(PerformTest, a_plan_is_made_and_carried_out_once) {
  const auto path = place_.root() / "made.plan";
  ASSERT_EQ(run({.task = Task::plan, .plan = path}).report.status, RunStatus::success);
  EXPECT_TRUE(std::filesystem::exists(file("a/orphan")));
  const RunOutcome applied = run({.task = Task::apply, .plan = path});
  EXPECT_EQ(applied.report.status, RunStatus::success) << applied.report.error;
  EXPECT_FALSE(std::filesystem::exists(file("a/orphan")));
  const RunOutcome again = run({.task = Task::apply, .plan = path});
  EXPECT_EQ(again.error->code, ErrorCode::failed_precondition);
  ASSERT_TRUE(saved().has_value()) << "what was not taken is visible, too";
  EXPECT_EQ(saved()->status, RunStatus::failed);
  EXPECT_EQ(saved()->command, "apply");
  EXPECT_EQ(saved()->trigger, "schedule nightly");
}

TEST_F(PerformTest, a_plan_that_is_not_there_is_a_failed_run) {
  const RunOutcome outcome = run({.task = Task::apply, .plan = place_.root() / "none.plan"});
  EXPECT_EQ(outcome.error->code, ErrorCode::not_found);
  EXPECT_EQ(saved()->status, RunStatus::failed);
}

TEST_F(PerformTest, a_store_that_is_away_is_a_failed_run_in_the_history) {
  std::filesystem::rename(place_.root() / "media", place_.root() / "gone");
  const RunOutcome outcome = run({.task = Task::cleanup});
  ASSERT_TRUE(outcome.error.has_value());
  ASSERT_TRUE(saved().has_value());
  EXPECT_EQ(saved()->status, RunStatus::failed);
  EXPECT_THAT(saved()->error, HasSubstr("media"));
  std::filesystem::rename(place_.root() / "gone", place_.root() / "media");
  EXPECT_EQ(run({.task = Task::cleanup}).report.status, RunStatus::success);
}

TEST_F(PerformTest, a_bucket_that_is_no_longer_configured_is_a_failed_run_in_the_history) {
  const RunOutcome outcome = run({.task = Task::stats, .buckets = {"fotos"}});
  EXPECT_EQ(outcome.error->code, ErrorCode::invalid_argument);
  EXPECT_EQ(saved()->status, RunStatus::failed);
  EXPECT_TRUE(saved()->completed_at.has_value());
}

TEST_F(PerformTest, a_run_that_is_cancelled_ends_as_interrupted) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(run({.task = Task::cleanup}, stop.get_token()).report.status, RunStatus::interrupted);
  EXPECT_EQ(saved()->status, RunStatus::interrupted);
  EXPECT_TRUE(std::filesystem::exists(file("a/orphan")));
}

TEST_F(PerformTest, a_state_database_that_was_damaged_in_between_is_a_warning) {
  state_.reset();
  std::ofstream(config_.state / "state.db", std::ios::binary | std::ios::trunc) << std::string(8192, 'x');
  testing::FakeHistory history(clock_);
  const PerformRun perform = make_perform({[this] { return std::make_shared<const Config>(config_); }, clock_, log_, traffic_, history});
  EXPECT_EQ(perform({.task = Task::stats}, new_run_id(clock_), progress_, {}).report.status, RunStatus::success);
  EXPECT_THAT(progress_.warnings, ElementsAre(HasSubstr("set aside")));
}

TEST_F(PerformTest, a_run_without_memory_fails_and_is_in_the_history) {
  progress_.throw_in = "listing";
  const RunOutcome outcome = run({.task = Task::cleanup});
  EXPECT_EQ(outcome.error->code, ErrorCode::internal);
  EXPECT_THAT(outcome.error->message, HasSubstr("0 deletions"));
  EXPECT_EQ(saved()->status, RunStatus::failed);
  progress_.throw_in = "";
  EXPECT_EQ(run({.task = Task::cleanup}).report.status, RunStatus::success);
}

TEST_F(PerformTest, recover_looks_up_what_is_in_doubt_and_is_none_of_the_history) {
  EXPECT_EQ(run({.task = Task::recover}).report.status, RunStatus::success);
  EXPECT_FALSE(saved().has_value());
}

}  // namespace
}  // namespace heimdall
