#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "daemon/event_log.h"
#include "daemon/run_request.h"
#include "pipeline/run.h"
#include "ports/progress.h"

namespace heimdall {

class RunProgress;

// A run that waits or is under way.
struct LiveRun {
  std::string run_id;
  RunRequest request;
  bool started = false;        // else it waits behind another one
  Timestamp submitted_at{};
  std::optional<Timestamp> started_at;
  std::string phase, bucket;   // of the innermost phase
  std::uint64_t done = 0;
  std::optional<std::uint64_t> expected;
  std::map<std::string, BucketFigures> outcomes;  // by bucket, what became of objects so far: nothing else is set
  bool cancelling = false;
};

// Carries out one run with everything it needs, and writes it into the history; calls come from the runner's thread, one at a time.
using PerformRun = std::function<RunOutcome(const RunRequest& request, const std::string& run_id, Progress& progress, std::stop_token stop)>;

// Told of runs as they begin and end. For metrics, figures, schedules. Calls come from the runner's thread; run_ended() of a run that never began (it was
// cancelled while it waited, or the service stopped) from the thread that took it from the queue.
class RunWatcher {
 public:
  virtual ~RunWatcher() = default;
  virtual void run_began(const RunRequest& request, const std::string& run_id) = 0;
  virtual void phase_ended(const std::string& bucket, std::string_view phase, std::chrono::nanoseconds took, std::uint64_t done) = 0;
  virtual void run_ended(const RunRequest& request, const RunOutcome& outcome) = 0;
};

// The one place in the service where runs happen: one after the other, on a thread of its own. Their progress and end go to the event log, the log and the
// watchers. Thread-safe.
//
// The events of a run: `status` as it is queued, runs and has ended; `progress`, at most two a second and at both ends of a phase; `log` for each line of
// the log about it, as the log has it in JSON, but for those of level debug; `guard` for each guard that refused or was overridden; `summary`, the last one:
// by then the watchers know, and live() does not know it any more.
class Runner {
 public:
  // Writes the report of a run that `perform` could not write into the history: it never began, or broke off. Called from any thread.
  using SaveReport = std::function<void(const RunReport&)>;
  Runner(PerformRun perform, Clock& clock, Log& log, EventLog& events, SaveReport save = {});
  // stop()
  ~Runner();

  // `watcher` is told from now on; it must live until stop() returned.
  void watch(RunWatcher& watcher);

  // For both: a run that is dropped because stop() comes in between is told to the watchers, from this call. So whoever submits while it holds a lock that it also
  // takes as a watcher has to end before stop().
  //
  // Queues a run behind those that are there: its id. `unavailable` once stopping; failed_precondition if 100 wait already.
  Result<std::string> submit(RunRequest request);
  // As submit(), but nullopt if anything waits or runs.
  Result<std::optional<std::string>> submit_if_idle(RunRequest request);

  // Ends a run after its batch, or takes it from the queue. not_found if it neither waits nor runs.
  Result<void> cancel(const std::string& run_id);

  // What became of objects in a run that is under way, for live(); of others, nothing.
  void note_deletions(std::string_view run_id, std::span<const Deletion> deletions);

  std::optional<LiveRun> live(const std::string& run_id) const;
  std::vector<LiveRun> all_live() const;  // the running one first

  // Asks the run under way to end, drops those that wait (each ends as interrupted), and returns when it has ended.
  void stop();

 private:
  struct Queued;
  enum class Turn { in_line, if_idle };
  Result<std::shared_ptr<Queued>> line_up(RunRequest request, Turn turn);
  std::string announce(const std::shared_ptr<Queued>& queued);
  void work(std::stop_token stop);
  std::shared_ptr<RunProgress> progress_of(const std::string& run_id);
  void carry_out(Queued& queued);
  RunOutcome perform_safely(Queued& queued);
  void drop(const Queued& queued, Error why);
  void tell_watchers(const RunRequest& request, const RunOutcome& outcome);
  void tell_followers(const RunRequest& request, const RunOutcome& outcome);
  void tell_status(const RunRequest& request, const std::string& run_id, std::string_view status);
  void say(const std::string& run_id, LogLevel level, std::string_view event, std::string_view message, std::vector<LogField> fields);
  void say_end(const RunRequest& request, const RunOutcome& outcome);
  std::vector<RunWatcher*> watchers() const;

  const PerformRun perform_;
  Clock& clock_;
  Log& log_;
  EventLog& events_;
  const SaveReport save_;
  mutable std::mutex mutex_;  // guards the three below; never held while anybody is told anything
  std::vector<RunWatcher*> watchers_;
  std::deque<std::shared_ptr<Queued>> queue_;  // the running one is the first
  bool stopping_ = false;
  std::condition_variable_any changed_;
  std::once_flag stopped_;
  std::jthread thread_;
};

}  // namespace heimdall
