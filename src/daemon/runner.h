#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
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
  bool cancelling = false;
};

// Carries out one run with everything it needs; calls come from the runner's thread, one at a time. Never throws.
using PerformRun = std::function<RunOutcome(const RunRequest& request, const std::string& run_id, Progress& progress, std::stop_token stop)>;

// Told of runs as they begin and end; on the runner's thread. For metrics, figures, schedules.
class RunWatcher {
 public:
  virtual ~RunWatcher() = default;
  virtual void run_began(const RunRequest& request, const std::string& run_id) = 0;
  virtual void phase_ended(const std::string& bucket, std::string_view phase, std::chrono::nanoseconds took, std::uint64_t done) = 0;
  virtual void run_ended(const RunRequest& request, const RunOutcome& outcome) = 0;
};

// The one place in the service where runs happen: one after the other, on a thread of its own. Their progress and end go to the event log, the log and the
// watchers. Thread-safe.
class Runner {
 public:
  Runner(PerformRun perform, Clock& clock, Log& log, EventLog& events);
  // stop()
  ~Runner();

  // `watcher` is told from now on; it must live until stop().
  void watch(RunWatcher& watcher);

  // Queues a run behind those that are there: its id. `unavailable` once stopping; failed_precondition if 100 wait already.
  Result<std::string> submit(RunRequest request);
  // As submit(), but nullopt if anything waits or runs.
  Result<std::optional<std::string>> submit_if_idle(RunRequest request);

  // Ends a run after its batch, or takes it from the queue. not_found if it neither waits nor runs.
  Result<void> cancel(const std::string& run_id);

  std::optional<LiveRun> live(const std::string& run_id) const;
  std::vector<LiveRun> all_live() const;  // the running one first

  // Asks the run under way to end, drops those that wait (each is told as cancelled), and returns when it has ended.
  void stop();

 private:
  class RunProgress;
  struct Queued;
  void work(std::stop_token stop);
  void carry_out(Queued& queued);

  PerformRun perform_;
  Clock& clock_;
  Log& log_;
  EventLog& events_;
  std::vector<RunWatcher*> watchers_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::shared_ptr<Queued>> queue_;  // the running one is the first
  bool stopping_ = false;
  std::jthread thread_;
};

}  // namespace heimdall
