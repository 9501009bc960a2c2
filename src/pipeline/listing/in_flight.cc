#include "pipeline/listing/in_flight.h"

#include <algorithm>

namespace heimdall {

namespace {

constexpr std::chrono::milliseconds kShortestWindow{100};
constexpr std::chrono::milliseconds kLongestWindow{2000};
constexpr std::uint64_t kPagesPerTurn = 2;  // a window in which each turn had fewer says little,
constexpr std::uint64_t kFewestPages = 48;  // and so does one of fewer pages: these take very different times

}  // namespace

InFlight::InFlight(const ListingLimits& limits)
    : most_(std::max({1U, limits.first, limits.most})), is_fixed_(limits.first >= limits.most),
      pace_({.least = 1, .first = std::max(1U, limits.first), .most = most_}), window_begun_(Time::now()) {}

unsigned InFlight::level() const {
  const std::scoped_lock lock(mutex_);
  return pace_.level();
}

InFlight::Turn::Turn(InFlight& in_flight, const std::stop_token& stop) : in_flight_(in_flight), stop_(stop) {
  std::unique_lock lock(in_flight_.mutex_);
  wait(lock);
}

InFlight::Turn::~Turn() {
  const std::scoped_lock lock(in_flight_.mutex_);
  --in_flight_.taken_;
  in_flight_.turn_.notify_one();
}

void InFlight::Turn::wait(std::unique_lock<std::mutex>& lock) {
  while (in_flight_.taken_ >= in_flight_.pace_.level() && !stop_.stop_requested()) in_flight_.turn_.wait_for(lock, kShortestWindow);
  ++in_flight_.taken_;
  begun_ = Time::now();
}

// Kept from page to page, as the next one is asked for before this one is judged: only who must wait gives it back.
void InFlight::Turn::listed(std::uint64_t keys) {
  std::unique_lock lock(in_flight_.mutex_);
  const auto now = Time::now();
  ++in_flight_.pages_;
  in_flight_.keys_ += keys;
  in_flight_.spent_ += now - begun_;
  begun_ = now;
  if (in_flight_.taken_ <= in_flight_.pace_.level()) return;
  --in_flight_.taken_;
  wait(lock);
}

void InFlight::worker_ended() {
  const std::scoped_lock lock(mutex_);
  ++workers_ended_;
  ended_.notify_all();
}

void InFlight::supervise(const std::function<unsigned(unsigned)>& hire, const ObjectReader& store) {
  std::unique_lock lock(mutex_);
  window_begun_ = Time::now();
  push_backs_ = store.strain().push_backs;
  unsigned level = pace_.level();
  unsigned workers = hire(level);
  while (workers_ended_ < workers) {
    ended_.wait_for(lock, kShortestWindow);
    if (is_fixed_) continue;
    look_back(store, Time::now());
    if (std::exchange(level, pace_.level()) == pace_.level() || workers_ended_ > 0) continue;
    workers = std::max(workers, hire(level));
    turn_.notify_all();
  }
}

void InFlight::look_back(const ObjectReader& store, Time::time_point now) {
  const auto elapsed = now - window_begun_;
  const std::uint64_t push_backs = store.strain().push_backs;
  const bool is_pushed = push_backs > push_backs_;
  const bool says_enough = pages_ >= std::max(kFewestPages, kPagesPerTurn * pace_.level()) || elapsed >= kLongestWindow;
  if (elapsed < kShortestWindow || (!says_enough && !is_pushed)) return;
  // Where workers are without work, it is not the level that holds the listing back.
  if (taken_ >= pace_.level() || is_pushed) {
    const auto latency = pages_ > 0 ? spent_ / static_cast<Time::rep>(pages_) : Time::duration(0);
    pace_.window({.items = keys_, .elapsed = elapsed, .latency = latency,
                  .push = is_pushed ? PaceWindow::Push::back : PaceWindow::Push::none});
  }
  window_begun_ = now;
  push_backs_ = push_backs;
  keys_ = 0;
  pages_ = 0;
  spent_ = {};
}

}  // namespace heimdall
