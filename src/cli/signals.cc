#include "cli/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <string_view>
#include <thread>

namespace heimdall {

namespace {

void say(std::string_view text) {
  // Nothing to be done if standard error is gone.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

std::stop_token stop_on_signals(StopMeans means) {
  std::stop_source source;
  const std::stop_token token = source.get_token();
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  // Lives as long as the process; a handler could not call request_stop(), which takes locks.
  std::thread([signals, source, means]() mutable {
    int received = 0;
    sigwait(&signals, &received);
    say(means == StopMeans::finish_batch ? "\ninterrupted: the batch at hand is finished first; once more to stop at once\n"
                                         : "\ninterrupted: stopping; once more to stop at once\n");
    source.request_stop();
    sigwait(&signals, &received);
    _exit(130);
  }).detach();
  return token;
}

}  // namespace heimdall
