#include "daemon/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <map>

#include "daemon/test_runs.h"

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using testing::at;
using testing::eventually;
using testing::outcome_of;

// Time goes on only as a test says; who sleeps wakes when it has come so far.
class DrivenClock final : public Clock {
 public:
  explicit DrivenClock(Timestamp now) : now_(now) {}

  Timestamp now() const override {
    const std::scoped_lock lock(mutex_);
    return now_;
  }
  BootTime boot_now() const override {
    const std::scoped_lock lock(mutex_);
    return boot_;
  }
  std::string boot_id() const override { return "boot"; }
  void sleep_for(std::chrono::nanoseconds duration, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    ++sleeps_;
    const auto mine = sleepers_.emplace(boot_ + duration, stop);
    moved_.wait(lock, stop, [&] { return boot_ >= mine->first; });
    sleepers_.erase(mine);
  }

  void advance(std::chrono::nanoseconds duration) {
    const std::scoped_lock lock(mutex_);
    now_ += duration;
    boot_ = boot_ + duration;
    moved_.notify_all();
  }
  void step(std::chrono::nanoseconds duration) {
    const std::scoped_lock lock(mutex_);
    now_ += duration;
  }
  // How long until the first who sleeps wakes; nullopt: nobody sleeps, or some have yet to wake.
  std::optional<std::chrono::nanoseconds> until_next() const {
    const std::scoped_lock lock(mutex_);
    for (const auto& [end, stop] : sleepers_) {
      if (end <= boot_ || stop.stop_requested()) return std::nullopt;
    }
    return sleepers_.empty() ? std::nullopt : std::optional(sleepers_.begin()->first - boot_);
  }
  // How often anybody went to sleep.
  std::uint64_t sleeps() const {
    const std::scoped_lock lock(mutex_);
    return sleeps_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable_any moved_;
  Timestamp now_;
  BootTime boot_;
  std::multimap<BootTime, std::stop_token> sleepers_;
  std::uint64_t sleeps_ = 0;
};

class NoMarks final : public ScheduleMarks {
 public:
  Result<std::optional<Timestamp>> mark(const Schedule&) override { return std::optional<Timestamp>(); }
  Result<void> save_mark(const Schedule&, Timestamp) override { return {}; }
};

// Counts lines and keeps none.
class CountedLog final : public Log {
 public:
  void write(LogLevel, std::string_view, std::string_view, std::span<const LogField>) override { ++lines_; }
  bool takes(LogLevel) const override { return true; }
  std::uint64_t lines() const { return lines_; }

 private:
  std::atomic<std::uint64_t> lines_{0};
};

Timing cron(const std::string& text, const std::string& zone = "UTC") { return *Timing::cron(text, zone); }

class SchedulerTest : public ::testing::Test {
 protected:
  ~SchedulerTest() override { runner_.stop(); }

  // Lets time pass until `to`, giving everybody the time that they need. Who sleeps has asked for its runs before.
  void pass_until(Timestamp to) {
    while (clock_.now() < to) {
      std::optional<std::chrono::nanoseconds> next;
      ASSERT_TRUE(eventually([&] { return (next = until_next_if_all_rest()).has_value(); }));
      clock_.advance(std::min(*next, std::chrono::nanoseconds(to - clock_.now())));
    }
    EXPECT_TRUE(eventually([&] { return until_next_if_all_rest().has_value(); }));
  }

  // Of one and the same sleep: who was awake in between may have begun a run, or be about to sleep from a time that would be over then.
  std::optional<std::chrono::nanoseconds> until_next_if_all_rest() const {
    const std::uint64_t sleeps = clock_.sleeps();
    const auto next = clock_.until_next();
    if (!next || !runner_.all_live().empty()) return std::nullopt;
    return clock_.until_next() && clock_.sleeps() == sleeps ? next : std::nullopt;
  }

  DrivenClock clock_{at("2026-11-25T17:00:30Z")};
  CountedLog log_;
  EventLog events_{clock_, 1000};
  NoMarks marks_;
  std::atomic<std::uint64_t> runs_{0};
  std::function<RunOutcome(std::uint64_t run, Progress& progress)> how_ = [](std::uint64_t, Progress&) { return outcome_of(RunStatus::success); };
  Runner runner_{[this](const RunRequest&, const std::string&, Progress& progress, std::stop_token) { return how_(++runs_, progress); }, clock_, log_, events_};
};

TEST_F(SchedulerTest, starts_runs_in_time) {
  Scheduler scheduler({{.name = "often", .task = Task::stats, .timing = cron("*/5 * * * *")}}, marks_, runner_, clock_, log_);
  EXPECT_EQ(scheduler.states().front().next, at("2026-11-25T17:05:00Z")) << "before it has begun";
  clock_.advance(10min);
  scheduler.start();
  pass_until(at("2026-11-25T18:01:00Z"));
  EXPECT_EQ(runs_, 10U);
  const ScheduleState state = scheduler.states().front();
  EXPECT_EQ(state.started, 10U);
  EXPECT_EQ(state.next, at("2026-11-25T18:05:00Z"));
  runner_.stop();
}

TEST_F(SchedulerTest, notices_a_step_of_the_clock_within_a_minute) {
  Scheduler scheduler({{.name = "nightly", .timing = cron("0 3 * * *")}}, marks_, runner_, clock_, log_);
  scheduler.start();
  pass_until(at("2026-11-25T17:05:00Z"));
  EXPECT_EQ(runs_, 0U);
  clock_.step(24h);
  pass_until(at("2026-11-26T17:07:00Z"));
  EXPECT_EQ(runs_, 1U);
  clock_.step(-24h);
  pass_until(at("2026-11-26T04:00:00Z"));
  EXPECT_EQ(runs_, 1U);
  runner_.stop();
}

TEST_F(SchedulerTest, a_run_that_failed_is_tried_again) {
  how_ = [](std::uint64_t run, Progress&) {
    return run < 3 ? outcome_of(RunStatus::failed, Error{ErrorCode::unavailable, "the store is away"}) : outcome_of(RunStatus::success);
  };
  Scheduler scheduler({{.name = "hourly", .timing = *Timing::every(1h)}}, marks_, runner_, clock_, log_);
  scheduler.start();
  pass_until(at("2026-11-25T18:30:00Z"));
  EXPECT_EQ(runs_, 3U);
  EXPECT_EQ(scheduler.states().front().retried, 2U);
  runner_.stop();
}

TEST_F(SchedulerTest, other_schedules_are_heeded_at_once) {
  Scheduler scheduler({{.name = "nightly", .timing = cron("0 3 * * *")}}, marks_, runner_, clock_, log_);
  scheduler.start();
  ASSERT_TRUE(eventually([&] { return clock_.until_next().has_value(); }));
  scheduler.replace({{.name = "often", .timing = *Timing::every(10s)}});
  EXPECT_EQ(scheduler.states().front().next, at("2026-11-25T17:00:40Z"));
  ASSERT_TRUE(eventually([&] { return clock_.until_next() == std::optional<std::chrono::nanoseconds>(10s); }));
  pass_until(at("2026-11-25T17:01:00Z"));
  EXPECT_EQ(runs_, 3U);
  runner_.stop();
}

TEST_F(SchedulerTest, stops_at_once_while_it_sleeps_or_before_it_began) {
  Scheduler never({}, marks_, runner_, clock_, log_);
  never.stop();
  Scheduler scheduler({{.name = "nightly", .timing = cron("0 3 * * *")}}, marks_, runner_, clock_, log_);
  scheduler.start();
  ASSERT_TRUE(eventually([&] { return clock_.until_next().has_value(); }));
  scheduler.stop();
  clock_.advance(24h);
  EXPECT_EQ(runs_, 0U);
  runner_.stop();
}

std::size_t entries_of(const std::filesystem::path& directory) {
  std::size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) ++entries;
  return entries;
}

struct Held {
  std::size_t threads = entries_of("/proc/self/task");
  std::size_t descriptors = entries_of("/proc/self/fd");
  std::size_t bytes = mallinfo2().uordblks;
};

// A day of many schedules, with failures, warnings and progress: what is held does not grow with what has happened.
TEST_F(SchedulerTest, a_day_of_schedules_leaks_nothing) {
  how_ = [](std::uint64_t run, Progress& progress) {
    for (const char* phase : {"references", "listing"}) {
      progress.begin(phase, "raw", run);
      for (int i = 0; i < 5; ++i) progress.advance(1000);
      progress.end();
    }
    if (run % 5 == 0) progress.warn("something to know");
    RunOutcome outcome = run % 7 == 0 ? outcome_of(RunStatus::failed, Error{ErrorCode::unavailable, "the store is away"}) : outcome_of(RunStatus::success);
    outcome.report.buckets["raw"].total_objects = run;
    return outcome;
  };
  const Held before;
  const Timestamp start = clock_.now();
  {
    Scheduler scheduler({{.name = "ten-seconds", .timing = *Timing::every(10s)},
                         {.name = "minutes", .timing = *Timing::every(1min), .jitter = 20s},
                         {.name = "five", .timing = cron("*/5 * * * *", "Europe/Rome"), .jitter = 1min},
                         {.name = "hourly", .timing = *Timing::every(1h)},
                         {.name = "nightly", .task = Task::cleanup, .timing = cron("0 3 * * *", "Europe/Rome")}},
                        marks_, runner_, clock_, log_);
    scheduler.start();
    pass_until(start + 6h);
    const Held settled;
    pass_until(start + 24h);
    const Held after;
    EXPECT_EQ(after.threads, settled.threads);
    EXPECT_EQ(after.descriptors, settled.descriptors);
    EXPECT_LT(after.bytes, settled.bytes + (1U << 20U));
    std::uint64_t started = 0;
    for (const ScheduleState& state : scheduler.states()) {
      EXPECT_GT(state.started, 0U) << state.name;
      EXPECT_EQ(state.missed, 0U) << state.name;
      started += state.started + state.retried;
    }
    EXPECT_EQ(started, runs_);
    EXPECT_GE(runs_, 24U * 60 * 6);
    EXPECT_EQ(events_.after(0, "", 1'000'000).events.size(), 1000U);
    scheduler.stop();
  }
  // A thread that was joined may still be on its way out of the kernel's list.
  EXPECT_TRUE(eventually([&] { return Held().threads == before.threads; }));
  EXPECT_EQ(Held().descriptors, before.descriptors);
}

}  // namespace
}  // namespace heimdall
