#pragma once

#include <chrono>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/guarded.h"
#include "base/log.h"
#include "daemon/agenda.h"
#include "daemon/runner.h"

namespace heimdall {

// The agenda on a thread of its own. It watches `runner`, which must be stopped before this is destroyed. Thread-safe.
class Scheduler final : public RunWatcher {
 public:
  Scheduler(std::vector<Schedule> schedules, ScheduleMarks& marks, Runner& runner, Clock& clock, Log& log);
  // stop()
  ~Scheduler() override;

  // Nothing is due before.
  void start();
  // Nothing is due any more, when it returns; how runs ended is still taken in.
  void stop();

  void replace(std::vector<Schedule> schedules);
  // As of the last change; never waits for the state database.
  std::vector<ScheduleState> states() const;

  void run_began(const RunRequest& request, const std::string& run_id) override;
  void phase_ended(const std::string&, std::string_view, std::chrono::nanoseconds, std::uint64_t) override {}
  void run_ended(const RunRequest& request, const RunOutcome& outcome) override;

 private:
  void work(std::stop_token stop);
  void changed();

  Clock& clock_;
  std::mutex mutex_;  // guards the two below
  Agenda agenda_;
  std::stop_source nap_;  // of the thread, until the agenda wants to be asked again
  mutable Guarded<std::vector<ScheduleState>> shown_;
  std::jthread thread_;
};

}  // namespace heimdall
