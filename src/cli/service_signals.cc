#include "cli/service_signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace heimdall {

namespace {

sigset_t ending() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
  return signals;
}

// Lives as long as the process, and is there beforehand: when the end is asked for there may be no thread left to have.
std::atomic<bool> is_ending = false;

void end_at_once_on_the_second() {
  std::thread([] {
    is_ending.wait(false);
    const sigset_t signals = ending();
    int received = 0;
    sigwait(&signals, &received);
    _exit(130);
  }).detach();
}

}  // namespace

ServiceSignals::ServiceSignals() {
  sigset_t signals = ending();
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  end_at_once_on_the_second();
}

std::optional<ServiceCommand> ServiceSignals::next(std::chrono::milliseconds at_most) {
  sigset_t signals = ending();
  sigaddset(&signals, SIGHUP);
  const timespec limit{.tv_sec = at_most.count() / 1000, .tv_nsec = at_most.count() % 1000 * 1'000'000};
  const int received = sigtimedwait(&signals, nullptr, &limit);
  if (received == SIGHUP) return ServiceCommand::reload;
  if (received < 0) return std::nullopt;
  is_ending = true;
  is_ending.notify_all();
  return ServiceCommand::stop;
}

}  // namespace heimdall
