#include "refs/postgres/parallel_read.h"

#include <pthread.h>

#include <atomic>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

namespace heimdall {

Result<void> SharedSink::add(std::span<const ReferenceRow> rows) {
  auto state = state_.lock();
  if (state->ended) state->ended = state->sink->add(rows);
  return state->ended;
}

Result<void> read_in_parallel(std::size_t readers, std::size_t parts, const std::stop_token& stop, const ReadPart& read) {
  std::stop_source ours;
  const std::stop_callback passed_on(stop, [&] { ours.request_stop(); });
  Guarded<std::optional<Error>> first;
  std::atomic<std::size_t> next{0};
  const auto work = [&](std::size_t reader) {
    for (std::size_t part = next++; part < parts; part = next++) {
      auto done = ours.stop_requested() ? Result<void>(Error{ErrorCode::cancelled, "reading was stopped"}) : read(reader, part, ours.get_token());
      if (done) continue;
      // What the others say once they were told to stop is no news.
      if (auto error = first.lock(); !*error) *error = std::move(done).error();
      ours.request_stop();
      return;
    }
  };
  {
    std::vector<std::jthread> others;
    try {
      for (std::size_t reader = 1; reader < readers && reader < parts; ++reader) {
        others.emplace_back([&work, reader] {
          pthread_setname_np(pthread_self(), "refs-reader");
          work(reader);
        });
      }
    } catch (const std::system_error&) {  // no more threads are to be had: those that are there do it all
    }
    work(0);
  }
  if (auto error = first.lock(); *error) return **error;
  return {};
}

}  // namespace heimdall
