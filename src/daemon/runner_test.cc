#include "daemon/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <new>
#include <nlohmann/json.hpp>
#include <set>

#include "daemon/test_runs.h"
#include "testing/fake_clock.h"

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::eventually;
using testing::events_of;
using testing::outcome_of;

class RecordedWatcher final : public RunWatcher {
 public:
  void run_began(const RunRequest&, const std::string& run_id) override { add("began " + run_id); }
  void phase_ended(const std::string& bucket, std::string_view phase, std::chrono::nanoseconds, std::uint64_t done) override {
    add("phase " + bucket + " " + std::string(phase) + " " + std::to_string(done));
  }
  void run_ended(const RunRequest& request, const RunOutcome& outcome) override {
    add(std::string(to_string(outcome.report.status)) + " " + outcome.report.run_id + " " + std::string(to_string(request.task)));
  }
  std::vector<std::string> seen() {
    const std::scoped_lock lock(mutex_);
    return seen_;
  }

 private:
  void add(std::string text) {
    const std::scoped_lock lock(mutex_);
    seen_.push_back(std::move(text));
  }
  std::mutex mutex_;
  std::vector<std::string> seen_;
};

// A run that says where it is and waits for the test to let it go on, or for its stop.
class RunnerTest : public ::testing::Test {
 protected:
  RunOutcome perform(const RunRequest& request, const std::string& run_id, Progress& progress, std::stop_token stop) {
    progress.begin("listing", "raw", 100);
    progress.advance(42);
    std::unique_lock lock(mutex_);
    running_ = run_id;
    ++begun_;
    let_go_.wait(lock, stop, [&] { return open_; });
    lock.unlock();
    progress.end();
    if (stop.stop_requested()) return outcome_of(RunStatus::interrupted, Error{ErrorCode::cancelled, "interrupted after 3 deletions"});
    RunOutcome outcome = next_outcome_(progress);
    outcome.report.dry_run = request.dry_run == RunReport::DryRun::yes;
    return outcome;
  }
  void open() {
    const std::scoped_lock lock(mutex_);
    open_ = true;
    let_go_.notify_all();
  }
  bool began(std::size_t runs) {
    return eventually([&] {
      const std::scoped_lock lock(mutex_);
      return begun_ == runs;
    });
  }
  bool ended(const std::string& run_id) {
    return eventually([&] { return !events_of(events_, run_id, "summary").empty(); });
  }
  std::string submit(Task task = Task::stats) {
    auto run_id = runner_.submit({.task = task, .trigger = "schedule nightly"});
    EXPECT_TRUE(run_id.has_value());
    return run_id.value_or("");
  }
  std::vector<std::string> statuses_of(const std::string& run_id) {
    std::vector<std::string> all;
    for (const RunEvent& event : events_of(events_, run_id, "status")) all.push_back(nlohmann::json::parse(event.json)["status"]);
    return all;
  }

  std::mutex mutex_;
  std::condition_variable_any let_go_;
  bool open_ = false;
  std::size_t begun_ = 0;
  std::string running_;
  std::function<RunOutcome(Progress&)> next_outcome_ = [](Progress&) { return outcome_of(RunStatus::success); };

  testing::FakeClock clock_;
  testing::RecordedLog log_;
  EventLog events_{clock_};
  RecordedWatcher watcher_;
  std::mutex saved_mutex_;
  std::vector<RunReport> saved_;
  Runner runner_{[this](const RunRequest& request, const std::string& run_id, Progress& progress, std::stop_token stop) {
                   return perform(request, run_id, progress, std::move(stop));
                 },
                 clock_, log_, events_,
                 [this](const RunReport& report) {
                   const std::scoped_lock lock(saved_mutex_);
                   saved_.push_back(report);
                 }};
};

TEST_F(RunnerTest, a_run_is_told_from_its_beginning_to_its_end) {
  open();
  runner_.watch(watcher_);
  const std::string id = submit();
  ASSERT_TRUE(ended(id));
  std::vector<std::string> types;
  for (const RunEvent& event : events_of(events_, id)) types.push_back(event.type);
  EXPECT_THAT(types, ElementsAre("status", "log", "status", "log", "progress", "progress", "log", "status", "summary"));
  EXPECT_THAT(statuses_of(id), ElementsAre("queued", "running", "success"));
  EXPECT_THAT(watcher_.seen(), ElementsAre("began " + id, "phase raw listing 42", "success " + id + " stats"));
  const auto status = nlohmann::json::parse(events_of(events_, id).front().json);
  EXPECT_EQ(status["run_id"], id);
  EXPECT_EQ(status["command"], "stats");
  EXPECT_EQ(status["trigger"], "schedule nightly");
  EXPECT_EQ(status["at"], "2026-11-23T00:14:16Z");
  const auto progress = nlohmann::json::parse(events_of(events_, id, "progress").back().json);
  EXPECT_EQ(progress["bucket"], "raw");
  EXPECT_EQ(progress["phase"], "listing");
  EXPECT_EQ(progress["done"], 42);
  EXPECT_EQ(progress["expected"], 100);
  EXPECT_TRUE(progress["per_second"].is_number());
  const auto summary = nlohmann::json::parse(events_of(events_, id).back().json);
  EXPECT_EQ(summary["type"], "summary");
  EXPECT_EQ(summary["run_id"], id);
  EXPECT_EQ(summary["command"], "stats");
}

TEST_F(RunnerTest, the_log_names_the_run_on_each_line) {
  open();
  const std::string id = submit();
  ASSERT_TRUE(ended(id));
  std::vector<std::string> events;
  for (const auto& line : log_.lines()) {
    events.push_back(line.event);
    EXPECT_EQ(line.fields.at("run_id"), id) << line.event;
  }
  EXPECT_THAT(events, ElementsAre("run.queued", "run.started", "run.phase", "run.ended"));
  EXPECT_EQ(log_.of("run.ended").front().level, LogLevel::info);
  EXPECT_EQ(log_.of("run.ended").front().fields.at("status"), "success");
}

TEST_F(RunnerTest, a_live_run_says_where_it_is) {
  const std::string first = submit();
  const std::string second = submit();
  ASSERT_TRUE(began(1));
  const auto all = runner_.all_live();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].run_id, first);
  EXPECT_TRUE(all[0].started);
  EXPECT_EQ(all[0].phase, "listing");
  EXPECT_EQ(all[0].bucket, "raw");
  EXPECT_EQ(all[0].done, 42U);
  EXPECT_EQ(all[0].expected, 100U);
  EXPECT_FALSE(all[0].cancelling);
  EXPECT_FALSE(all[1].started);
  EXPECT_EQ(all[1].run_id, second);
  EXPECT_EQ(runner_.live(second)->run_id, second);
  open();
  ASSERT_TRUE(ended(second));
  EXPECT_FALSE(runner_.live(second).has_value()) << "when its summary is there, it lives no more";
}

TEST_F(RunnerTest, a_live_run_counts_what_became_of_objects) {
  const std::string id = submit(Task::cleanup);
  ASSERT_TRUE(began(1));
  Deletion deletion{"raw", {}, Outcome::deleted, ""};
  deletion.object.size_bytes = 5;
  const Deletion failed{"raw", {}, Outcome::failed, ""};
  runner_.note_deletions(id, std::vector{deletion, deletion, failed});
  runner_.note_deletions("an earlier run", std::span(&deletion, 1));
  const auto outcomes = runner_.live(id)->outcomes;
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(outcomes.at("raw").orphans_deleted, 2U);
  EXPECT_EQ(outcomes.at("raw").bytes_deleted, 10U);
  EXPECT_EQ(outcomes.at("raw").deletion_failures, 1U);
  open();
  ASSERT_TRUE(ended(id));
}

TEST_F(RunnerTest, runs_are_carried_out_one_after_the_other) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(submit());
  runner_.watch(watcher_);
  open();
  for (const std::string& id : ids) ASSERT_TRUE(ended(id));
  std::vector<std::string> ends;
  for (const std::string& text : watcher_.seen()) {
    if (text.starts_with("success")) ends.push_back(text.substr(8, ids.front().size()));
  }
  EXPECT_EQ(ends, ids);
}

TEST_F(RunnerTest, a_run_that_waits_is_cancelled_at_once_and_is_visible) {
  runner_.watch(watcher_);
  const std::string first = submit();
  ASSERT_TRUE(began(1));
  const std::string second = submit(Task::cleanup);
  ASSERT_TRUE(runner_.cancel(second).has_value());
  EXPECT_THAT(statuses_of(second), ElementsAre("queued", "interrupted"));
  EXPECT_EQ(nlohmann::json::parse(events_of(events_, second, "summary").front().json)["status"], "partial");
  ASSERT_EQ(saved_.size(), 1U);
  EXPECT_EQ(saved_[0].run_id, second);
  EXPECT_EQ(saved_[0].command, "cleanup");
  EXPECT_EQ(saved_[0].trigger, "schedule nightly");
  EXPECT_EQ(saved_[0].status, RunStatus::interrupted);
  EXPECT_TRUE(saved_[0].completed_at.has_value());
  EXPECT_THAT(saved_[0].error, HasSubstr("cancelled"));
  EXPECT_THAT(watcher_.seen(), ::testing::Contains("interrupted " + second + " cleanup"));
  EXPECT_EQ(runner_.cancel(second).error().code, ErrorCode::not_found);
  open();
  ASSERT_TRUE(ended(first));
  EXPECT_EQ(begun_, 1U);
}

TEST_F(RunnerTest, a_run_under_way_is_asked_to_end) {
  const std::string id = submit();
  ASSERT_TRUE(began(1));
  ASSERT_TRUE(runner_.cancel(id).has_value());
  ASSERT_TRUE(ended(id));
  EXPECT_THAT(statuses_of(id), ElementsAre("queued", "running", "interrupted"));
  EXPECT_THAT(saved_, IsEmpty()) << "it wrote its report itself";
  EXPECT_EQ(log_.of("run.ended").front().level, LogLevel::warning);
  open();
  const std::string next = submit();
  ASSERT_TRUE(ended(next));
  EXPECT_EQ(statuses_of(next).back(), "success");
}

TEST_F(RunnerTest, cancelling_what_is_not_there_says_so) {
  const auto cancelled = runner_.cancel("20261123T001416Z-7f3a9c");
  ASSERT_FALSE(cancelled.has_value());
  EXPECT_EQ(cancelled.error().code, ErrorCode::not_found);
}

TEST_F(RunnerTest, stop_ends_everything) {
  const std::string first = submit();
  ASSERT_TRUE(began(1));
  const std::string second = submit();
  const std::string third = submit();
  runner_.stop();
  EXPECT_THAT(runner_.all_live(), IsEmpty());
  for (const std::string& id : {first, second, third}) {
    ASSERT_EQ(events_of(events_, id, "summary").size(), 1U);
    EXPECT_EQ(statuses_of(id).back(), "interrupted");
  }
  EXPECT_EQ(saved_.size(), 2U);
  EXPECT_EQ(begun_, 1U);
  EXPECT_EQ(runner_.submit({}).error().code, ErrorCode::unavailable);
  EXPECT_EQ(runner_.submit_if_idle({}).error().code, ErrorCode::unavailable);
  runner_.stop();
}

TEST_F(RunnerTest, at_most_100_wait) {
  submit();
  ASSERT_TRUE(began(1));
  for (int i = 0; i < 100; ++i) submit();
  const auto refused = runner_.submit({});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
}

TEST_F(RunnerTest, submit_if_idle_leaves_a_busy_runner_alone) {
  const auto first = runner_.submit_if_idle({.task = Task::recover});
  ASSERT_TRUE(first.has_value() && first->has_value());
  const auto second = runner_.submit_if_idle({.task = Task::recover});
  ASSERT_TRUE(second.has_value());
  EXPECT_FALSE(second->has_value());
  open();
  ASSERT_TRUE(ended(**first));
  EXPECT_TRUE(runner_.submit_if_idle({})->has_value());
}

TEST_F(RunnerTest, an_exception_fails_the_run_and_the_service_stays) {
  open();
  next_outcome_ = [](Progress&) -> RunOutcome { throw std::bad_alloc(); };
  const std::string id = submit(Task::cleanup);
  ASSERT_TRUE(ended(id));
  EXPECT_EQ(statuses_of(id).back(), "failed");
  {
    const std::scoped_lock lock(saved_mutex_);
    ASSERT_EQ(saved_.size(), 1U);
    EXPECT_EQ(saved_[0].status, RunStatus::failed);
    EXPECT_THAT(saved_[0].error, HasSubstr("bad_alloc"));
  }
  next_outcome_ = [](Progress&) -> RunOutcome { throw 7; };
  ASSERT_TRUE(ended(submit()));
  next_outcome_ = [](Progress&) { return outcome_of(RunStatus::success); };
  const std::string next = submit();
  ASSERT_TRUE(ended(next));
  EXPECT_EQ(statuses_of(next).back(), "success");
}

TEST_F(RunnerTest, warnings_go_to_the_log_and_to_those_who_follow) {
  open();
  next_outcome_ = [](Progress& progress) {
    progress.warn("a damaged state database was set aside as 'x\xff'");
    return outcome_of(RunStatus::success);
  };
  const std::string id = submit();
  ASSERT_TRUE(ended(id));
  ASSERT_EQ(log_.of("run.warning").size(), 1U);
  EXPECT_EQ(log_.of("run.warning").front().level, LogLevel::warning);
  std::vector<std::string> told;
  for (const RunEvent& event : events_of(events_, id, "log")) {
    const auto line = nlohmann::json::parse(event.json);
    EXPECT_EQ(line["run_id"], id);
    told.push_back(line["event"]);
    if (told.back() != "run.warning") continue;
    EXPECT_EQ(line["level"], "warning");
    EXPECT_THAT(line["message"].get<std::string>(), HasSubstr("set aside"));
  }
  EXPECT_THAT(told, ElementsAre("run.queued", "run.started", "run.warning", "run.ended"));
}

TEST_F(RunnerTest, guards_that_refuse_are_named) {
  open();
  next_outcome_ = [](Progress&) {
    RunOutcome outcome = outcome_of(RunStatus::refused);
    outcome.refusals.push_back({Guard::orphan_ratio, "raw", 0.62, 0.5, "62 % are due"});
    outcome.overridden.push_back({Guard::clock_skew, "raw", 301, 300, "skew"});
    return outcome;
  };
  const std::string id = submit();
  ASSERT_TRUE(ended(id));
  const auto line = log_.of("guard.refused").front();
  EXPECT_EQ(line.level, LogLevel::warning);
  EXPECT_EQ(line.fields.at("guard"), "orphan_ratio");
  EXPECT_EQ(line.fields.at("run_id"), id);
  const auto events = events_of(events_, id, "guard");
  ASSERT_EQ(events.size(), 2U);
  const auto refused = nlohmann::json::parse(events[0].json);
  EXPECT_EQ(refused["name"], "orphan_ratio");
  EXPECT_EQ(refused["value"], 0.62);
  EXPECT_EQ(refused["run_id"], id);
  EXPECT_FALSE(refused.contains("accepted"));
  EXPECT_EQ(nlohmann::json::parse(events[1].json)["accepted"], true);
  EXPECT_EQ(events_of(events_, id).back().type, "summary");
}

TEST_F(RunnerTest, many_submit_cancel_and_look_at_the_same_time) {
  open();
  runner_.watch(watcher_);
  std::mutex mutex;
  std::vector<std::string> ids;
  {
    std::vector<std::jthread> clients;
    for (int c = 0; c < 3; ++c) {
      clients.emplace_back([&, c] {
        for (int i = 0; i < 40; ++i) {
          const auto id = runner_.submit({});
          if (!id) continue;
          if ((i + c) % 3 == 0) (void)runner_.cancel(*id);
          (void)runner_.all_live();
          const std::scoped_lock lock(mutex);
          ids.push_back(*id);
        }
      });
    }
  }
  runner_.stop();
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size());
  for (const std::string& id : ids) {
    EXPECT_EQ(events_of(events_, id, "summary").size(), 1U);
    EXPECT_EQ(events_of(events_, id).front().type, "status");
    EXPECT_EQ(events_of(events_, id).back().type, "summary");
  }
}

}  // namespace
}  // namespace heimdall
