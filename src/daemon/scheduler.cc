#include "daemon/scheduler.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/ids.h"

namespace heimdall {

Scheduler::Scheduler(std::vector<Schedule> schedules, ScheduleMarks& marks, Runner& runner, Clock& clock, Log& log)
    : clock_(clock),
      agenda_(std::move(schedules), marks, log, [&runner](const RunRequest& request) { return runner.submit(request); }, random_u64()),
      shown_(agenda_.states(clock.now())) {
  runner.watch(*this);
}

Scheduler::~Scheduler() { stop(); }

void Scheduler::start() {
  thread_ = std::jthread([this](std::stop_token stop) { work(std::move(stop)); });
}

void Scheduler::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void Scheduler::replace(std::vector<Schedule> schedules) {
  const std::scoped_lock lock(mutex_);
  agenda_.replace(std::move(schedules), clock_.now());
  changed();
}

std::vector<ScheduleState> Scheduler::states() const { return *shown_.lock(); }

void Scheduler::run_began(const RunRequest&, const std::string& run_id) {
  const std::scoped_lock lock(mutex_);
  agenda_.run_began(run_id);
}

void Scheduler::run_ended(const RunRequest&, const RunOutcome& outcome) {
  const std::scoped_lock lock(mutex_);
  agenda_.run_ended(outcome.report.run_id, outcome, clock_.now());
  changed();
}

// Something may be due earlier than the thread thinks.
void Scheduler::changed() {
  *shown_.lock() = agenda_.states(clock_.now());
  nap_.request_stop();
}

void Scheduler::work(std::stop_token stop) {
  pthread_setname_np(pthread_self(), "scheduler");
  while (!stop.stop_requested()) {
    std::stop_source nap;
    std::chrono::nanoseconds length{0};
    {
      const std::scoped_lock lock(mutex_);
      const Timestamp now = clock_.now();
      length = agenda_.tick(now) - now;
      *shown_.lock() = agenda_.states(now);
      nap_ = nap;
    }
    const std::stop_callback wake_at_the_end(stop, [&nap] { nap.request_stop(); });
    clock_.sleep_for(std::max(length, std::chrono::nanoseconds(0)), nap.get_token());
  }
}

}  // namespace heimdall
