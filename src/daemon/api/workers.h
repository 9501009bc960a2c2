#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace heimdall {

// A few threads for what takes longer than a request may hold up the server, and a queue that does not grow without end. Thread-safe.
class Workers {
 public:
  using Job = std::function<void(std::stop_token)>;
  Workers(unsigned threads, std::size_t most_waiting);
  // Asks the jobs under way to end, waits for them, and drops those that wait, unrun.
  ~Workers();

  // False, and nothing happens, if too many wait already.
  bool submit(Job job);

 private:
  void work(const std::stop_token& stop);

  const std::size_t most_waiting_;
  const unsigned thread_count_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Job> waiting_;
  unsigned idle_ = 0;
  std::vector<std::jthread> threads_;
};

}  // namespace heimdall
