#include "daemon/api/workers.h"

#include <utility>

namespace heimdall {

Workers::Workers(unsigned threads, std::size_t most_waiting) : most_waiting_(most_waiting), thread_count_(threads) {
  threads_.reserve(threads);
  for (unsigned i = 0; i < thread_count_; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
}

Workers::~Workers() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

bool Workers::submit(Job job) {
  {
    const std::scoped_lock lock(mutex_);
    if (waiting_.size() >= most_waiting_ + idle_) return false;
    waiting_.push_back(std::move(job));
  }
  changed_.notify_one();
  return true;
}

void Workers::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    const bool found = changed_.wait(lock, stop, [this] { return !waiting_.empty(); });
    --idle_;
    if (!found || stop.stop_requested()) return;
    Job job = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    job(stop);
    job = nullptr;  // what it holds goes without the lock
    lock.lock();
  }
}

}  // namespace heimdall
