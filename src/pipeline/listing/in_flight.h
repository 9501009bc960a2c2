#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stop_token>

#include "pipeline/pace.h"
#include "ports/object_store.h"

namespace heimdall {

// How many pages are being listed and judged at one time: as many as bring the most keys per second, within the store's limits. Thread-safe.
class InFlight {
 public:
  explicit InFlight(const ListingLimits& limits);

  unsigned most() const { return most_; }
  unsigned level() const;

  // The right to list, page after page. Waits for it, and again between two pages where there are more turns than are good.
  class Turn {
   public:
    Turn(InFlight& in_flight, const std::stop_token& stop);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    // A page is done. It brought so many keys.
    void listed(std::uint64_t keys);

   private:
    void wait(std::unique_lock<std::mutex>& lock);

    InFlight& in_flight_;
    const std::stop_token stop_;
    std::chrono::steady_clock::time_point begun_;  // the page at hand
  };

  // Calls `hire` with the level, at first and whenever it changes, until worker_ended() was called as often as `hire` last returned.
  void supervise(const std::function<unsigned(unsigned level)>& hire, const ObjectReader& store);
  void worker_ended();

 private:
  // The pace of a store is the machine's time, not that of the product's Clock: a test that stops the clock must not wait for ever.
  using Time = std::chrono::steady_clock;

  void look_back(const ObjectReader& store, Time::time_point now);

  const unsigned most_;
  const bool is_fixed_;
  mutable std::mutex mutex_;
  std::condition_variable turn_;   // there is room for one more
  std::condition_variable ended_;  // a worker ended
  Pace pace_;
  unsigned taken_ = 0;
  unsigned workers_ended_ = 0;
  // Of the window at hand.
  Time::time_point window_begun_;
  std::uint64_t keys_ = 0;
  std::uint64_t pages_ = 0;
  Time::duration spent_{0};
  std::uint64_t push_backs_ = 0;  // when it began
};

}  // namespace heimdall
