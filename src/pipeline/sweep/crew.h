#pragma once

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace heimdall {

// Threads that carry out one job each at a time, and at most so many at once; that may change. Jobs wait for nobody: their giver does.
// wait_for_room(), hand_over() and wait_until_idle() are for one thread, the others for all.
template <class Job>
class Crew {
 public:
  // Names of threads have at most 15 bytes.
  Crew(std::string name, unsigned most, std::function<void(Job)> work) : name_(std::move(name)), work_(std::move(work)), most_(most) {}
  // Waits for what is under way.
  ~Crew() {
    {
      const std::scoped_lock lock(mutex_);
      is_over_ = true;
    }
    changed_.notify_all();
  }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  void wait_for_room() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return under_way_ < most_; });
  }
  void hand_over(Job job) {
    {
      const std::scoped_lock lock(mutex_);
      if (threads_.size() <= under_way_) hire();
      jobs_.push_back(std::move(job));
      ++under_way_;
    }
    changed_.notify_all();
  }
  void wait_until_idle() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return under_way_ == 0; });
  }
  void set_most(unsigned most) {
    {
      const std::scoped_lock lock(mutex_);
      most_ = most;
    }
    changed_.notify_all();
  }
  unsigned under_way() const {
    const std::scoped_lock lock(mutex_);
    return under_way_;
  }

 private:
  void hire() {
    try {
      threads_.emplace_back([this] { run(); });
    } catch (const std::system_error&) {
      if (threads_.empty()) throw;  // no more threads are to be had: the job waits for one of those that are there
    }
  }

  void run() {
    pthread_setname_np(pthread_self(), name_.c_str());
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return !jobs_.empty() || is_over_; });
      if (jobs_.empty()) return;
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      work_(std::move(job));
      lock.lock();
      --under_way_;
      changed_.notify_all();
    }
  }

  const std::string name_;
  const std::function<void(Job)> work_;
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<Job> jobs_;      // given, and about to be taken: there is a thread for each, but where no more were to be had
  unsigned under_way_ = 0;    // given, and not done
  unsigned most_;
  bool is_over_ = false;
  std::vector<std::jthread> threads_;  // the last member: joined while the others are still there
};

}  // namespace heimdall
