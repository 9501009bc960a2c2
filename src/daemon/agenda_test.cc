#include "daemon/agenda.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "daemon/test_runs.h"

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::at;
using testing::outcome_of;

class KeptMarks final : public ScheduleMarks {
 public:
  Result<std::optional<Timestamp>> mark(const Schedule& schedule) override {
    if (error) return *error;
    const auto timing = timings.find(schedule.name);
    const auto found = marks.find(schedule.name);
    const bool is_its_own = timing == timings.end() || timing->second == schedule.timing.text();
    return found == marks.end() || !is_its_own ? std::nullopt : std::optional(found->second);
  }
  Result<void> save_mark(const Schedule& schedule, Timestamp until) override {
    if (error) return *error;
    marks[schedule.name] = until;
    timings[schedule.name] = schedule.timing.text();
    return {};
  }
  std::map<std::string, Timestamp> marks;
  std::map<std::string, std::string> timings;
  std::optional<Error> error;
};

Timing cron(const std::string& text, const std::string& zone = "UTC") {
  auto timing = Timing::cron(text, zone);
  EXPECT_TRUE(timing.has_value()) << text;
  return *timing;
}
Timing every(std::chrono::milliseconds interval) { return *Timing::every(interval); }

class AgendaTest : public ::testing::Test {
 protected:
  // Runs end at once, and well, unless a test says otherwise.
  Agenda agenda(std::vector<Schedule> schedules, std::uint64_t seed = 1) {
    return Agenda(std::move(schedules), marks_, log_, [this](const RunRequest& request) { return submit(request); }, seed);
  }
  Result<std::string> submit(const RunRequest& request) {
    if (submit_error_) return *submit_error_;
    const std::string id = "run-" + std::to_string(++runs_);
    started_.push_back(request.trigger + " " + rfc3339(now_));
    request_ = request;
    last_id_ = id;
    live_.push_back(id);
    return id;
  }
  // Lets time pass as the scheduler does: from one tick to the next.
  void pass(Agenda& agenda, Timestamp from, Timestamp to) {
    for (now_ = from; now_ <= to;) {
      const Timestamp again = agenda.tick(now_);
      EXPECT_GT(again, now_);
      EXPECT_LE(again, now_ + 1min);
      begin_runs(agenda);
      if (runs_end_) end_runs(agenda, outcome_of(RunStatus::success));
      now_ = again;
    }
    now_ = to;
  }
  void tick(Agenda& agenda, Timestamp now) {
    now_ = now;
    agenda.tick(now);
    begin_runs(agenda);
  }
  void begin_runs(Agenda& agenda) {
    if (!runs_begin_) return;
    for (const std::string& id : live_) agenda.run_began(id);
  }
  void end_runs(Agenda& agenda, const RunOutcome& outcome) {
    for (const std::string& id : std::exchange(live_, {})) agenda.run_ended(id, outcome, now_);
  }
  static RunOutcome unavailable() { return outcome_of(RunStatus::failed, Error{ErrorCode::unavailable, "the store is away"}); }
  static ScheduleState state(const Agenda& agenda, Timestamp now = {}) { return agenda.states(now).front(); }

  KeptMarks marks_;
  testing::RecordedLog log_;
  std::vector<std::string> started_;
  std::vector<std::string> live_;
  std::string last_id_;
  RunRequest request_;
  std::optional<Error> submit_error_;
  bool runs_begin_ = true;
  bool runs_end_ = true;
  int runs_ = 0;
  Timestamp now_{};
};

TEST_F(AgendaTest, starts_what_is_due_when_it_is_due) {
  Agenda agenda = this->agenda({{.name = "nightly", .task = Task::cleanup, .timing = cron("0 3 * * *"), .buckets = {"raw"}}});
  pass(agenda, at("2026-11-25T17:00:00Z"), at("2026-11-27T12:00:00Z"));
  EXPECT_THAT(started_, ElementsAre("schedule nightly 2026-11-26T03:00:00Z", "schedule nightly 2026-11-27T03:00:00Z"));
  EXPECT_EQ(request_.task, Task::cleanup);
  EXPECT_THAT(request_.buckets, ElementsAre("raw"));
  EXPECT_EQ(request_.dry_run, RunReport::DryRun::no);
  const ScheduleState state = this->state(agenda);
  EXPECT_EQ(state.next, at("2026-11-28T03:00:00Z"));
  EXPECT_EQ(state.last_due, at("2026-11-27T03:00:00Z"));
  EXPECT_EQ(state.last_run_id, last_id_);
  EXPECT_EQ(state.started, 2U);
  EXPECT_EQ(state.skipped + state.missed + state.retried, 0U);
  EXPECT_EQ(marks_.marks["nightly"], at("2026-11-27T03:00:00Z"));
  const auto lines = log_.of("schedule.due");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[1].fields.at("run_id"), last_id_);
  EXPECT_EQ(lines[1].fields.at("schedule"), "nightly");
}

TEST_F(AgendaTest, tells_the_next_time_before_the_first_tick) {
  const Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
  EXPECT_EQ(state(agenda, at("2026-11-25T17:00:00Z")).next, at("2026-11-26T03:00:00Z"));
}

TEST_F(AgendaTest, makes_up_a_missed_run_once_at_the_start) {
  marks_.marks["nightly"] = at("2026-11-20T03:00:00Z");
  {
    Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
    pass(agenda, at("2026-11-25T17:00:00Z"), at("2026-11-25T23:00:00Z"));
    EXPECT_THAT(started_, ElementsAre("schedule nightly 2026-11-25T17:00:00Z"));
    EXPECT_EQ(state(agenda).missed, 5U);
    ASSERT_THAT(log_.of("schedule.missed"), SizeIs(1));
    EXPECT_EQ(log_.of("schedule.missed").front().fields.at("due"), "2026-11-25T03:00:00Z");
  }
  Agenda restarted = agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
  pass(restarted, at("2026-11-25T23:30:00Z"), at("2026-11-26T02:00:00Z"));
  EXPECT_THAT(started_, SizeIs(1)) << "it was made up for before";
}

TEST_F(AgendaTest, a_schedule_that_never_ran_has_missed_nothing) {
  Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
  pass(agenda, at("2026-11-25T17:00:00Z"), at("2026-11-25T20:00:00Z"));
  EXPECT_THAT(started_, IsEmpty());
  EXPECT_EQ(state(agenda).missed, 0U);
}

TEST_F(AgendaTest, one_that_missed_nothing_makes_nothing_up) {
  marks_.marks["nightly"] = at("2026-11-25T03:00:00Z");
  Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
  pass(agenda, at("2026-11-25T17:00:00Z"), at("2026-11-25T20:00:00Z"));
  EXPECT_THAT(started_, IsEmpty());
}

TEST_F(AgendaTest, a_clock_stepped_forward_a_day_makes_one_run) {
  Agenda agenda = this->agenda({{.name = "hourly", .timing = every(1h)}});
  pass(agenda, at("2026-11-25T17:30:00Z"), at("2026-11-25T18:30:00Z"));
  started_.clear();
  pass(agenda, at("2026-11-26T18:30:00Z"), at("2026-11-26T18:59:00Z"));
  EXPECT_THAT(started_, ElementsAre("schedule hourly 2026-11-26T18:30:00Z"));
  EXPECT_EQ(state(agenda).missed, 23U);
  EXPECT_EQ(state(agenda).last_due, at("2026-11-26T18:00:00Z"));
  pass(agenda, at("2026-11-26T19:00:00Z"), at("2026-11-26T19:30:00Z"));
  EXPECT_THAT(started_, SizeIs(2));
}

TEST_F(AgendaTest, a_step_of_years_over_a_short_interval_is_not_counted_to_its_end) {
  Agenda agenda = this->agenda({{.name = "often", .timing = every(1s)}});
  tick(agenda, at("2026-11-25T17:30:00Z"));
  tick(agenda, at("2029-11-25T17:30:00Z"));
  EXPECT_THAT(started_, SizeIs(1));
  EXPECT_EQ(state(agenda).next, at("2029-11-25T17:30:01Z"));
}

TEST_F(AgendaTest, a_clock_stepped_back_runs_nothing_twice) {
  Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}, {.name = "hourly", .timing = every(1h)}});
  pass(agenda, at("2026-11-26T02:30:00Z"), at("2026-11-26T03:30:00Z"));
  started_.clear();
  pass(agenda, at("2026-11-26T02:30:00Z"), at("2026-11-26T03:59:00Z"));
  EXPECT_THAT(started_, IsEmpty()) << "all of it has been run";
  pass(agenda, at("2026-11-26T04:00:00Z"), at("2026-11-27T03:30:00Z"));
  EXPECT_EQ(started_.front(), "schedule hourly 2026-11-26T04:00:00Z");
  EXPECT_EQ(std::count(started_.begin(), started_.end(), "schedule nightly 2026-11-27T03:00:00Z"), 1);
  EXPECT_THAT(log_.of("schedule.clock"), IsEmpty());
}

TEST_F(AgendaTest, a_small_step_back_just_after_a_run_does_not_repeat_it) {
  Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
  pass(agenda, at("2026-11-26T02:59:00Z"), at("2026-11-26T03:00:00Z"));
  pass(agenda, at("2026-11-26T02:59:59Z"), at("2026-11-26T03:10:00Z"));
  EXPECT_THAT(started_, SizeIs(1));
}

TEST_F(AgendaTest, a_clock_that_was_a_day_ahead_does_not_silence_an_hourly_schedule_for_a_day) {
  Agenda agenda = this->agenda({{.name = "hourly", .timing = every(1h)}});
  pass(agenda, at("2026-11-26T17:30:00Z"), at("2026-11-26T18:30:00Z"));
  started_.clear();
  pass(agenda, at("2026-11-25T18:31:00Z"), at("2026-11-25T20:30:00Z"));
  EXPECT_THAT(started_, ElementsAre("schedule hourly 2026-11-25T19:00:00Z", "schedule hourly 2026-11-25T20:00:00Z"));
  EXPECT_EQ(state(agenda).last_due, at("2026-11-25T20:00:00Z"));
  EXPECT_EQ(state(agenda).missed, 0U);
  EXPECT_EQ(marks_.marks["hourly"], at("2026-11-25T20:00:00Z"));
  const auto lines = log_.of("schedule.clock");
  ASSERT_THAT(lines, SizeIs(1)) << "said once";
  EXPECT_EQ(lines.front().fields.at("schedule"), "hourly");
  EXPECT_EQ(lines.front().fields.at("last_due"), "2026-11-26T18:00:00Z");
  EXPECT_EQ(lines.front().fields.at("next"), "2026-11-25T19:00:00Z");
}

TEST_F(AgendaTest, one_due_time_at_most_is_left_out_after_a_step_back) {
  for (const auto& [back_to, runs] : std::map<std::string, std::size_t>{{"2026-11-25T04:00:00Z", 0}, {"2026-11-25T02:00:00Z", 2}}) {
    Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
    pass(agenda, at("2026-11-26T02:30:00Z"), at("2026-11-26T03:30:00Z"));
    started_.clear();
    pass(agenda, at(back_to), at("2026-11-26T04:00:00Z"));
    EXPECT_THAT(started_, SizeIs(runs)) << back_to;
    marks_.marks.clear();
  }
}

TEST_F(AgendaTest, a_mark_of_a_clock_that_was_ahead_does_not_silence_a_schedule_after_a_restart) {
  marks_.marks["hourly"] = at("2026-11-26T18:00:00Z");
  Agenda agenda = this->agenda({{.name = "hourly", .timing = every(1h)}});
  pass(agenda, at("2026-11-25T18:30:00Z"), at("2026-11-25T19:30:00Z"));
  EXPECT_THAT(started_, ElementsAre("schedule hourly 2026-11-25T19:00:00Z"));
  EXPECT_THAT(log_.of("schedule.clock"), SizeIs(1));
  EXPECT_EQ(marks_.marks["hourly"], at("2026-11-25T19:00:00Z"));
  Agenda restarted = this->agenda({{.name = "hourly", .timing = every(1h)}});
  pass(restarted, at("2026-11-25T19:31:00Z"), at("2026-11-25T19:40:00Z"));
  EXPECT_THAT(started_, SizeIs(1));
  EXPECT_THAT(log_.of("schedule.clock"), SizeIs(1)) << "the mark is of this clock now";
}

TEST_F(AgendaTest, a_mark_just_ahead_at_the_start_is_believed) {
  marks_.marks["hourly"] = at("2026-11-25T19:00:00Z");
  Agenda agenda = this->agenda({{.name = "hourly", .timing = every(1h)}});
  pass(agenda, at("2026-11-25T18:59:00Z"), at("2026-11-25T19:30:00Z"));
  EXPECT_THAT(started_, IsEmpty());
  EXPECT_EQ(state(agenda).next, at("2026-11-25T20:00:00Z"));
  EXPECT_THAT(log_.of("schedule.clock"), IsEmpty());
}

TEST_F(AgendaTest, a_denser_timing_taken_up_after_a_step_back_runs_from_now_on) {
  Agenda agenda = this->agenda({{.name = "stats", .timing = every(1h)}});
  pass(agenda, at("2026-11-25T17:30:00Z"), at("2026-11-25T18:00:00Z"));
  tick(agenda, at("2026-11-25T17:10:00Z"));
  started_.clear();
  agenda.replace({{.name = "stats", .timing = every(1min)}}, now_);
  pass(agenda, now_, at("2026-11-25T17:11:00Z"));
  EXPECT_THAT(started_, SizeIs(1));
  EXPECT_THAT(log_.of("schedule.clock"), SizeIs(1));
}

TEST_F(AgendaTest, a_run_is_tried_again_soon_though_the_clock_was_ahead_when_it_failed) {
  runs_end_ = false;
  Agenda agenda = this->agenda({{.name = "hourly", .timing = every(1h), .jitter = 10min}});
  pass(agenda, at("2026-11-26T17:30:00Z"), at("2026-11-26T18:10:00Z"));
  end_runs(agenda, unavailable());
  ASSERT_TRUE(state(agenda).retry_at.has_value());
  started_.clear();
  pass(agenda, at("2026-11-25T18:15:00Z"), at("2026-11-25T18:17:00Z"));
  EXPECT_THAT(started_, SizeIs(1));
  EXPECT_EQ(state(agenda).retried, 1U);
  end_runs(agenda, outcome_of(RunStatus::success));
  const Timestamp next = state(agenda).next;
  EXPECT_GE(next, at("2026-11-25T19:00:00Z"));
  EXPECT_LT(next, at("2026-11-25T19:10:00Z"));
}

TEST_F(AgendaTest, a_clock_that_was_wrong_by_years_does_not_silence_a_schedule) {
  Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
  pass(agenda, at("2031-01-01T02:30:00Z"), at("2031-01-01T03:30:00Z"));
  started_.clear();
  pass(agenda, at("2026-11-25T17:00:00Z"), at("2026-11-26T12:00:00Z"));
  EXPECT_THAT(started_, ElementsAre("schedule nightly 2026-11-26T03:00:00Z"));
  marks_.marks["nightly"] = at("2031-01-01T03:00:00Z");
  Agenda restarted = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
  pass(restarted, at("2026-11-26T17:00:00Z"), at("2026-11-27T12:00:00Z"));
  EXPECT_THAT(started_, SizeIs(2));
}

// 02:30 does not exist on that day: it runs at the first minute that does, 03:00 in summer time.
TEST_F(AgendaTest, a_time_that_spring_skips_comes_once) {
  Agenda agenda = this->agenda({{.name = "rome", .timing = cron("30 2 * * *", "Europe/Rome")}});
  pass(agenda, at("2026-03-28T12:00:00Z"), at("2026-03-30T12:00:00Z"));
  EXPECT_THAT(started_, ElementsAre("schedule rome 2026-03-29T01:00:00Z", "schedule rome 2026-03-30T00:30:00Z"));
}

TEST_F(AgendaTest, a_time_that_autumn_repeats_comes_the_first_time_only) {
  Agenda agenda = this->agenda({{.name = "rome", .timing = cron("30 2 * * *", "Europe/Rome")}});
  pass(agenda, at("2026-10-24T12:00:00Z"), at("2026-10-26T12:00:00Z"));
  EXPECT_THAT(started_, ElementsAre("schedule rome 2026-10-25T00:30:00Z", "schedule rome 2026-10-26T01:30:00Z"));
}

// What is missed across the change is found by the same rule.
TEST_F(AgendaTest, a_run_that_was_missed_in_the_repeated_hour_is_made_up_once) {
  marks_.marks["rome"] = at("2026-10-24T00:30:00Z");
  Agenda agenda = this->agenda({{.name = "rome", .timing = cron("30 2 * * *", "Europe/Rome")}});
  pass(agenda, at("2026-10-25T00:45:00Z"), at("2026-10-25T12:00:00Z"));
  EXPECT_THAT(started_, ElementsAre("schedule rome 2026-10-25T00:45:00Z"));
  EXPECT_EQ(state(agenda).missed, 1U);
}

TEST_F(AgendaTest, a_leap_day_comes_in_leap_years) {
  Agenda agenda = this->agenda({{.name = "leap", .timing = cron("0 3 29 2 *")}});
  tick(agenda, at("2027-02-20T00:00:00Z"));
  EXPECT_EQ(state(agenda).next, at("2028-02-29T03:00:00Z"));
  pass(agenda, at("2028-02-28T12:00:00Z"), at("2028-03-01T12:00:00Z"));
  EXPECT_THAT(started_, ElementsAre("schedule leap 2028-02-29T03:00:00Z"));
  EXPECT_EQ(state(agenda).next, at("2032-02-29T03:00:00Z"));
}

TEST_F(AgendaTest, an_overlap_is_skipped_and_counted) {
  runs_end_ = false;
  Agenda agenda = this->agenda({{.name = "hourly", .timing = every(1h)}});
  pass(agenda, at("2026-11-25T17:30:00Z"), at("2026-11-25T20:30:00Z"));
  EXPECT_THAT(started_, SizeIs(1));
  EXPECT_EQ(state(agenda).skipped, 2U);
  ASSERT_THAT(log_.of("schedule.skipped"), SizeIs(2));
  EXPECT_EQ(log_.of("schedule.skipped").front().level, LogLevel::warning);
  EXPECT_EQ(log_.of("schedule.skipped").front().fields.at("run_id"), last_id_);
  EXPECT_EQ(marks_.marks["hourly"], at("2026-11-25T20:00:00Z")) << "skipped is taken care of";
  end_runs(agenda, outcome_of(RunStatus::success));
  pass(agenda, at("2026-11-25T20:30:00Z"), at("2026-11-25T21:00:00Z"));
  EXPECT_THAT(started_, SizeIs(2));
}

TEST_F(AgendaTest, different_schedules_that_are_due_together_all_run_in_order) {
  runs_end_ = false;
  Agenda agenda = this->agenda({{.name = "stats", .timing = every(1h)}, {.name = "cleanup", .task = Task::cleanup, .timing = cron("0 3 * * *")}});
  pass(agenda, at("2026-11-26T02:30:00Z"), at("2026-11-26T03:00:00Z"));
  EXPECT_THAT(started_, ElementsAre("schedule stats 2026-11-26T03:00:00Z", "schedule cleanup 2026-11-26T03:00:00Z"));
}

TEST_F(AgendaTest, a_failure_that_may_pass_is_tried_again_three_times_with_backoff) {
  runs_end_ = false;
  Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
  const auto fail_at = [&](const std::string& from, const std::string& to) {
    pass(agenda, at(from), at(to));
    end_runs(agenda, unavailable());
  };
  fail_at("2026-11-26T02:59:00Z", "2026-11-26T03:00:00Z");
  EXPECT_EQ(state(agenda).retry_at, at("2026-11-26T03:01:00Z"));
  fail_at("2026-11-26T03:00:00Z", "2026-11-26T03:01:00Z");
  EXPECT_EQ(state(agenda).retry_at, at("2026-11-26T03:03:00Z"));
  fail_at("2026-11-26T03:01:00Z", "2026-11-26T03:03:00Z");
  EXPECT_EQ(state(agenda).retry_at, at("2026-11-26T03:07:00Z"));
  fail_at("2026-11-26T03:03:00Z", "2026-11-26T03:07:00Z");
  EXPECT_EQ(state(agenda).retry_at, std::nullopt);
  EXPECT_THAT(log_.of("schedule.retry"), SizeIs(3));
  EXPECT_EQ(log_.of("schedule.retry")[2].fields.at("attempt"), "3");
  EXPECT_THAT(log_.of("schedule.gave_up"), SizeIs(1));
  pass(agenda, at("2026-11-26T03:07:00Z"), at("2026-11-27T02:59:00Z"));
  EXPECT_THAT(started_, SizeIs(4));
  EXPECT_EQ(state(agenda).started, 1U);
  EXPECT_EQ(state(agenda).retried, 3U);
  // The next due time begins afresh.
  fail_at("2026-11-27T02:59:00Z", "2026-11-27T03:00:00Z");
  EXPECT_EQ(state(agenda).retry_at, at("2026-11-27T03:01:00Z"));
}

TEST_F(AgendaTest, a_retry_that_succeeds_is_the_last) {
  runs_end_ = false;
  Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
  pass(agenda, at("2026-11-26T02:59:00Z"), at("2026-11-26T03:00:00Z"));
  end_runs(agenda, unavailable());
  runs_end_ = true;
  pass(agenda, at("2026-11-26T03:00:00Z"), at("2026-11-27T02:00:00Z"));
  EXPECT_THAT(started_, SizeIs(2));
}

TEST_F(AgendaTest, nothing_is_tried_again_beyond_the_next_due_time) {
  runs_end_ = false;
  Agenda agenda = this->agenda({{.name = "often", .timing = every(1min)}});
  pass(agenda, at("2026-11-26T02:59:30Z"), at("2026-11-26T03:00:00Z"));
  end_runs(agenda, unavailable());
  EXPECT_EQ(state(agenda).retry_at, std::nullopt);
  EXPECT_THAT(log_.of("schedule.gave_up"), SizeIs(1));
}

TEST_F(AgendaTest, fewer_retries_can_be_configured_and_more_than_three_cannot) {
  for (const auto& [configured, tried] : std::map<unsigned, std::size_t>{{0, 0}, {1, 1}, {99, 3}}) {
    runs_end_ = false;
    live_.clear();
    Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *"), .retries = configured}});
    tick(agenda, at("2026-11-26T02:59:00Z"));
    tick(agenda, at("2026-11-26T03:00:00Z"));
    for (int i = 0; i < 10; ++i) {
      end_runs(agenda, unavailable());
      tick(agenda, now_ + 30min);
    }
    EXPECT_EQ(state(agenda).retried, tried) << configured;
    marks_.marks.clear();
  }
}

TEST_F(AgendaTest, what_does_not_pass_by_itself_is_not_tried_again) {
  RunOutcome refused = outcome_of(RunStatus::refused);
  refused.refusals.push_back({Guard::orphan_ratio, "raw", 1, 0.5, "too many"});
  RunOutcome busy = unavailable();
  busy.refusals = refused.refusals;
  for (const RunOutcome& outcome :
       {outcome_of(RunStatus::success), refused, busy, outcome_of(RunStatus::partial), outcome_of(RunStatus::interrupted, Error{ErrorCode::cancelled, "cancelled"}),
        outcome_of(RunStatus::failed, Error{ErrorCode::invalid_argument, "no such table"}),
        outcome_of(RunStatus::failed, Error{ErrorCode::permission_denied, "who are you"})}) {
    live_.clear();
    marks_.marks.clear();
    Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
    tick(agenda, at("2026-11-26T02:59:00Z"));
    tick(agenda, at("2026-11-26T03:00:00Z"));
    end_runs(agenda, outcome);
    EXPECT_EQ(state(agenda).retry_at, std::nullopt);
  }
}

TEST_F(AgendaTest, what_may_pass_is_tried_again) {
  RunOutcome unlisted = outcome_of(RunStatus::partial);
  unlisted.unlisted.push_back({{}, Error{ErrorCode::unavailable, "503"}});
  for (const RunOutcome& outcome : {unlisted, outcome_of(RunStatus::failed, Error{ErrorCode::throttled, "slow down"}),
                                    outcome_of(RunStatus::failed, Error{ErrorCode::locked, "held"}),
                                    outcome_of(RunStatus::failed, Error{ErrorCode::not_found, "the directory './media' does not exist"}),
                                    outcome_of(RunStatus::partial, Error{ErrorCode::in_doubt, "no answer"})}) {
    live_.clear();
    marks_.marks.clear();
    Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
    tick(agenda, at("2026-11-26T02:59:00Z"));
    tick(agenda, at("2026-11-26T03:00:00Z"));
    end_runs(agenda, outcome);
    EXPECT_NE(state(agenda).retry_at, std::nullopt);
  }
}

TEST_F(AgendaTest, a_step_back_does_not_put_a_retry_off) {
  runs_end_ = false;
  Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
  pass(agenda, at("2026-11-26T02:59:00Z"), at("2026-11-26T03:00:00Z"));
  end_runs(agenda, unavailable());
  pass(agenda, at("2026-11-25T12:00:00Z"), at("2026-11-25T12:02:00Z"));
  EXPECT_THAT(started_, SizeIs(2));
}

TEST_F(AgendaTest, jitter_is_bounded_and_the_same_for_the_same_seed) {
  const std::vector<Schedule> schedules = {{.name = "hourly", .timing = every(1h), .jitter = 10min}};
  std::vector<std::vector<Timestamp>> runs;
  for (const std::uint64_t seed : {1U, 1U, 2U}) {
    marks_.marks.clear();
    Agenda agenda = this->agenda(schedules, seed);
    runs.emplace_back();
    tick(agenda, at("2026-11-26T00:00:00Z"));
    for (int i = 0; i < 50; ++i) {
      const Timestamp next = state(agenda).next;
      const auto due = std::chrono::floor<std::chrono::hours>(next);
      EXPECT_LT(next - due, 10min);
      runs.back().push_back(next);
      tick(agenda, next);
      end_runs(agenda, outcome_of(RunStatus::success));
      EXPECT_EQ(state(agenda).last_due, due);
    }
  }
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_NE(runs[0], runs[2]);
  std::set<std::chrono::nanoseconds> offsets;
  for (const Timestamp run : runs[0]) offsets.insert(run - std::chrono::floor<std::chrono::hours>(run));
  EXPECT_GT(offsets.size(), 40U);
}

TEST_F(AgendaTest, a_step_back_while_jitter_keeps_a_run_waiting_does_not_lose_it) {
  Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *"), .jitter = 2h}});
  tick(agenda, at("2026-11-26T02:59:00Z"));
  const Timestamp starts = state(agenda).next;
  ASSERT_GT(starts, at("2026-11-26T03:02:00Z"));
  tick(agenda, at("2026-11-26T03:02:00Z"));
  pass(agenda, at("2026-11-26T03:01:00Z"), at("2026-11-26T06:00:00Z"));
  EXPECT_THAT(started_, ElementsAre("schedule nightly " + rfc3339(starts)));
}

TEST_F(AgendaTest, jitter_never_reaches_the_next_due_time) {
  Agenda agenda = this->agenda({{.name = "often", .timing = every(1min), .jitter = 24h}});
  pass(agenda, at("2026-11-26T00:00:00Z"), at("2026-11-26T01:00:00Z"));
  EXPECT_GE(started_.size(), 59U);
  EXPECT_LE(started_.size(), 60U);
  EXPECT_EQ(state(agenda).missed, 0U);
}

TEST_F(AgendaTest, a_reload_leaves_alone_what_stays) {
  Agenda agenda = this->agenda({{.name = "hourly", .timing = every(1h)}, {.name = "nightly", .timing = cron("0 3 * * *")}});
  runs_end_ = false;
  pass(agenda, at("2026-11-25T17:30:00Z"), at("2026-11-25T18:30:00Z"));
  agenda.replace({{.name = "hourly", .timing = every(1h), .buckets = {"raw"}}, {.name = "weekly", .timing = cron("@weekly")}}, now_);
  const auto states = agenda.states(now_);
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(states[0].started, 1U);
  EXPECT_EQ(states[0].last_run_id, last_id_);
  EXPECT_EQ(states[0].next, at("2026-11-25T19:00:00Z"));
  EXPECT_EQ(states[1].next, at("2026-11-29T00:00:00Z"));
  pass(agenda, at("2026-11-25T18:31:00Z"), at("2026-11-25T19:00:00Z"));
  EXPECT_EQ(agenda.states(now_)[0].skipped, 1U) << "its run is still under way";
  end_runs(agenda, outcome_of(RunStatus::success));
  pass(agenda, at("2026-11-25T19:01:00Z"), at("2026-11-25T20:00:00Z"));
  EXPECT_THAT(request_.buckets, ElementsAre("raw"));
}

TEST_F(AgendaTest, another_timing_has_missed_nothing) {
  Agenda agenda = this->agenda({{.name = "stats", .timing = cron("0 3 * * *")}});
  pass(agenda, at("2026-11-25T02:00:00Z"), at("2026-11-25T17:30:00Z"));
  agenda.replace({{.name = "stats", .timing = every(1h)}}, now_);
  pass(agenda, now_, at("2026-11-25T17:59:00Z"));
  EXPECT_THAT(started_, SizeIs(1));
  EXPECT_EQ(state(agenda).next, at("2026-11-25T18:00:00Z"));
}

TEST_F(AgendaTest, goes_on_without_marks) {
  marks_.error = Error{ErrorCode::internal, "the disk is full"};
  Agenda agenda = this->agenda({{.name = "hourly", .timing = every(1h)}});
  pass(agenda, at("2026-11-25T17:30:00Z"), at("2026-11-25T19:30:00Z"));
  EXPECT_THAT(started_, SizeIs(2));
  EXPECT_THAT(log_.of("schedule.unknown"), SizeIs(3));
  EXPECT_THAT(log_.of("schedule.unmarked"), SizeIs(4));
}

TEST_F(AgendaTest, a_mark_that_cannot_be_read_for_a_moment_still_makes_up_for_what_was_missed) {
  marks_.marks["nightly"] = at("2026-11-24T03:00:00Z");
  marks_.error = Error{ErrorCode::unavailable, "the state is busy"};
  Agenda agenda = this->agenda({{.name = "nightly", .timing = cron("0 3 * * *")}});
  pass(agenda, at("2026-11-25T17:30:00Z"), at("2026-11-25T17:30:30Z"));
  EXPECT_THAT(started_, SizeIs(0));
  marks_.error.reset();
  pass(agenda, now_, at("2026-11-25T17:32:00Z"));
  EXPECT_THAT(started_, SizeIs(1));
}

class AgendaRestartTest : public AgendaTest {
 protected:
  AgendaRestartTest() { runs_end_ = false; }
  std::vector<Schedule> nightly() const { return {{.name = "nightly", .timing = cron("0 3 * * *")}}; }
  // Runs that were started when the service is there again, five minutes after it ended.
  std::size_t made_up(std::vector<Schedule> schedules) {
    const std::size_t before = started_.size();
    live_.clear();
    Agenda after = this->agenda(std::move(schedules));
    const Timestamp again = now_ + 5min;
    pass(after, again, again + 1min);
    return started_.size() - before;
  }
};

TEST_F(AgendaRestartTest, a_run_that_the_end_of_the_service_kept_from_beginning_is_made_up) {
  runs_begin_ = false;
  Agenda before = this->agenda(nightly());
  pass(before, at("2026-11-25T02:59:00Z"), at("2026-11-25T03:00:00Z"));
  ASSERT_THAT(started_, SizeIs(1));
  end_runs(before, outcome_of(RunStatus::interrupted, Error{ErrorCode::unavailable, "the service is stopping"}));
  EXPECT_EQ(made_up(nightly()), 1U);
}

TEST_F(AgendaRestartTest, a_run_that_waited_when_the_service_was_killed_is_made_up) {
  runs_begin_ = false;
  Agenda before = this->agenda(nightly());
  pass(before, at("2026-11-25T02:59:00Z"), at("2026-11-25T03:00:00Z"));
  EXPECT_EQ(made_up(nightly()), 1U);
}

// Else one that kills the service would do so at each start.
TEST_F(AgendaRestartTest, a_run_that_was_under_way_when_the_service_was_killed_is_not_made_up) {
  Agenda before = this->agenda(nightly());
  pass(before, at("2026-11-25T02:59:00Z"), at("2026-11-25T03:00:00Z"));
  EXPECT_EQ(made_up(nightly()), 0U);
}

TEST_F(AgendaRestartTest, a_run_that_was_to_be_tried_again_is_made_up) {
  Agenda before = this->agenda(nightly());
  pass(before, at("2026-11-25T02:59:00Z"), at("2026-11-25T03:00:00Z"));
  end_runs(before, unavailable());
  EXPECT_EQ(made_up(nightly()), 1U);
}

TEST_F(AgendaRestartTest, a_run_that_was_cancelled_before_it_began_is_not_made_up) {
  runs_begin_ = false;
  Agenda before = this->agenda(nightly());
  pass(before, at("2026-11-25T02:59:00Z"), at("2026-11-25T03:00:00Z"));
  end_runs(before, outcome_of(RunStatus::interrupted, Error{ErrorCode::cancelled, "it was cancelled before it began"}));
  EXPECT_EQ(made_up(nightly()), 0U);
}

TEST_F(AgendaRestartTest, a_due_time_that_was_skipped_while_a_run_waited_is_made_up) {
  runs_begin_ = false;
  Agenda before = this->agenda({{.name = "hourly", .timing = every(1h)}});
  pass(before, at("2026-11-25T02:59:00Z"), at("2026-11-25T05:00:00Z"));
  ASSERT_THAT(log_.of("schedule.skipped"), SizeIs(2));
  EXPECT_EQ(made_up({{.name = "hourly", .timing = every(1h)}}), 1U);
}

TEST_F(AgendaRestartTest, a_schedule_whose_timing_was_changed_has_missed_nothing) {
  Agenda before = this->agenda({{.name = "nightly", .timing = cron("0 22 * * *")}});
  pass(before, at("2026-11-25T21:59:00Z"), at("2026-11-25T22:00:00Z"));
  now_ = at("2026-11-26T04:00:00Z");
  EXPECT_EQ(made_up(nightly()), 0U) << "three o'clock was none of its times before";
}

TEST_F(AgendaTest, a_run_that_cannot_be_begun_is_skipped) {
  submit_error_ = Error{ErrorCode::failed_precondition, "100 runs wait already"};
  Agenda agenda = this->agenda({{.name = "hourly", .timing = every(1h)}});
  pass(agenda, at("2026-11-25T17:30:00Z"), at("2026-11-25T18:30:00Z"));
  EXPECT_EQ(state(agenda).skipped, 1U);
  EXPECT_EQ(state(agenda).started, 0U);
  EXPECT_THAT(log_.of("schedule.skipped").front().message, ::testing::HasSubstr("100 runs wait"));
}

TEST_F(AgendaTest, runs_of_others_are_none_of_its_business) {
  Agenda agenda = this->agenda({{.name = "hourly", .timing = every(1h)}});
  tick(agenda, at("2026-11-25T17:30:00Z"));
  agenda.run_ended("run-of-the-api", unavailable(), now_);
  EXPECT_EQ(state(agenda).retry_at, std::nullopt);
}

}  // namespace
}  // namespace heimdall
