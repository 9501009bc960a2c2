#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "daemon/run_request.h"
#include "pipeline/run.h"
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

// What the scheduler remembers across restarts, for a schedule of this name and timing: one whose timing was changed has missed nothing.
class ScheduleMarks {
 public:
  virtual ~ScheduleMarks() = default;
  // The time up to which all due times were taken care of (a run began, or it was skipped); nullopt if none ever came.
  virtual Result<std::optional<Timestamp>> mark(const Schedule& schedule) = 0;
  virtual Result<void> save_mark(const Schedule& schedule, Timestamp until) = 0;
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
  std::chrono::nanoseconds interval{0};  // the longest between its next runs
};

// Decides what is due, given the time. Pure but for its marks: tests drive tick() with a clock of their own. Not thread-safe.
//
// - A run missed while the service was down (its mark is older than the last due time) is made up once at the start; one that never ran has missed nothing. So is
//   a run that the end of the service, however sudden, kept from beginning, and one that was to be tried again. One that began is not, lest a run that kills the
//   service does so at each start.
// - A due time that finds the run before of the same schedule still waiting or under way is skipped and counted. Different schedules that are due together run
//   one after the other, in the order of the configuration.
// - A clock that is stepped forward over several due times makes one run; one that is stepped back a little makes none twice: one due time is left out. One that
//   is stepped back over two due times, or more than two days, was wrong before: from then on it counts, and a warning says so.
// - After a run that failed for a reason that may pass (a store or database away, throttled or locked, in doubt) it is tried again, at most three times, with backoff, until
//   the next due time.
class Agenda {
 public:
  // Starts a run, or queues it: its id.
  using Submit = std::function<Result<std::string>(const RunRequest&)>;
  Agenda(std::vector<Schedule> schedules, ScheduleMarks& marks, Log& log, Submit submit, std::uint64_t jitter_seed);
  ~Agenda();

  // Starts what is due at `now`, and returns when to call again (the wall clock's; at most a minute ahead, so that steps of it are noticed).
  Timestamp tick(Timestamp now);
  // Any run began.
  void run_began(const std::string& run_id);
  // Any run ended: if it was one of a schedule, whether it is tried again.
  void run_ended(const std::string& run_id, const RunOutcome& outcome, Timestamp now);
  // Other schedules from now on; those of the same name and timing go on, the others have missed nothing.
  void replace(std::vector<Schedule> schedules, Timestamp now);

  std::vector<ScheduleState> states(Timestamp now) const;

 private:
  struct Entry;
  Entry* entry_of(const std::string& run_id);
  bool prepare(Entry& entry, Timestamp now);  // false: its mark could not be read
  void notice_step_back(Entry& entry, Timestamp now);
  void come_due(Entry& entry, Timestamp now);
  void make_up(Entry& entry, Timestamp now);
  void start(Entry& entry, Timestamp due, Timestamp now);
  void retry(Entry& entry);
  void save_mark(Entry& entry, Timestamp until);
  void log_next(const Entry& entry);
  void aim_from(Entry& entry, Timestamp now);  // unless it is of a wrong clock, after what was taken care of
  void aim(Entry& entry, Timestamp after) const;

  std::vector<Entry> entries_;
  ScheduleMarks& marks_;
  Log& log_;
  const Submit submit_;
  const std::uint64_t jitter_seed_;
  std::optional<Timestamp> last_tick_;
};

}  // namespace heimdall
