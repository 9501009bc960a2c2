#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "daemon/run_request.h"
#include "daemon/runner.h"
#include "schedule/timing.h"

namespace heimdall {

// One entry of `schedules:`, ready to be asked.
struct Schedule {
  std::string name;
  Task task = Task::stats;
  Timing timing;
  std::vector<std::string> buckets = {};     // none: all
  std::chrono::milliseconds jitter{0};       // each run is late by a random part of this
  unsigned retries = 3;                      // after a failure that may pass by itself
  std::chrono::milliseconds retry_delay = std::chrono::minutes(1);  // before the first; doubled each time
};

// What the scheduler remembers across restarts.
class ScheduleMarks {
 public:
  virtual ~ScheduleMarks() = default;
  // The last due time that was taken care of (run, or skipped); nullopt if it never came.
  virtual Result<std::optional<Timestamp>> mark(std::string_view schedule) = 0;
  virtual Result<void> save_mark(std::string_view schedule, Timestamp due) = 0;
};

// How one schedule stands.
struct ScheduleState {
  std::string name;
  Task task = Task::stats;
  std::string timing;          // for people
  Timestamp next{};
  std::optional<Timestamp> last_due;
  std::string last_run_id;     // empty: none since the start
  std::uint64_t started = 0, skipped = 0, missed = 0, retried = 0;  // since the start
  std::optional<Timestamp> retry_at;
};

// Decides what is due, given the time. Pure but for its marks: tests drive tick() with a clock of their own. Not thread-safe.
//
// - A run missed while the service was down (its mark is older than the last due time) is made up once at the start; one that never ran has missed nothing.
// - A due time that finds a run under way is skipped and counted.
// - A clock that is stepped forward over several due times makes one run; one that is stepped back makes none twice.
// - After a run that failed for a reason that may pass (unavailable, throttled, locked, in doubt) it is tried again, with backoff, until the next due time.
class Agenda {
 public:
  // `submit` starts a run if nothing else runs: its id, or nullopt.
  using Submit = std::function<Result<std::optional<std::string>>(const RunRequest&)>;
  Agenda(std::vector<Schedule> schedules, ScheduleMarks& marks, Log& log, Submit submit, std::uint64_t jitter_seed);

  // Starts what is due at `now`, and returns when to call again (the wall clock's; at most a minute ahead, so that steps of it are noticed).
  Timestamp tick(Timestamp now);
  // A run of a schedule ended: whether it is tried again.
  void run_ended(const std::string& run_id, const RunOutcome& outcome, Timestamp now);
  // Other schedules from now on; those of the same name and timing go on.
  void replace(std::vector<Schedule> schedules, Timestamp now);

  std::vector<ScheduleState> states(Timestamp now) const;

 private:
  struct Entry;
  std::vector<Entry> entries_;
  ScheduleMarks& marks_;
  Log& log_;
  Submit submit_;
  std::uint64_t jitter_seed_;

 public:
  ~Agenda();
};

// The agenda on a thread of its own. Thread-safe.
class Scheduler final : public RunWatcher {
 public:
  Scheduler(std::vector<Schedule> schedules, ScheduleMarks& marks, Runner& runner, Clock& clock, Log& log);
  ~Scheduler() override;

  void replace(std::vector<Schedule> schedules);
  std::vector<ScheduleState> states() const;

  void run_began(const RunRequest&, const std::string&) override {}
  void phase_ended(const std::string&, std::string_view, std::chrono::nanoseconds, std::uint64_t) override {}
  void run_ended(const RunRequest& request, const RunOutcome& outcome) override;

 private:
  void work(std::stop_token stop);

  Clock& clock_;
  mutable std::mutex mutex_;  // guards the agenda
  std::condition_variable_any changed_;
  Agenda agenda_;
  bool poked_ = false;
  std::jthread thread_;
};

}  // namespace heimdall
