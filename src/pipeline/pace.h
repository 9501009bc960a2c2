#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace heimdall {

// What was seen while level() requests were under way at once.
struct PaceWindow {
  enum class Push { none, back };  // back: the store said "slow down", or a request timed out

  std::uint64_t items = 0;              // finished in it
  std::chrono::nanoseconds elapsed{0};
  std::chrono::nanoseconds latency{0};  // of one request on average; 0: not known
  Push push = Push::none;
};

// Finds how many requests at once a store likes best: that many bring the most items per second.
//
// Grows by doubling while that pays by more than 5 %, then looks between what paid and what did not, and settles. Now and then it tries a
// neighbour again, and more eagerly once the rate at its level has changed. Steps back to half on push-back, or when requests take twice as
// long without bringing more. Noise of some percent does not move it. Knows neither clock nor threads: the same windows give the same levels.
// Not thread-safe.
class Pace {
 public:
  struct Options {
    unsigned least = 1;
    unsigned first = 1;
    unsigned most = 8;
    std::optional<std::chrono::nanoseconds> latency_target = std::nullopt;  // slower requests than this ask for fewer at once
  };
  explicit Pace(const Options& options);

  // How many at once from now on; between least and most.
  unsigned level() const { return trial_ ? trial_->level : home_.level; }

  // What level() brought. Leave out what was not held back by the level: the last batches, a wait for something else. A window without items
  // counts only if it was pushed back.
  void window(const PaceWindow& seen);

  // The best level that is known, and what it brings; 0 before the first window.
  unsigned best_level() const { return home_.level; }

  // Neither of its neighbours was better when last tried.
  bool is_settled() const { return rest_ > 0 && !trial_; }

  // Even the least is too much for the store at the moment: pause before the next request.
  bool wants_pause() const { return wants_pause_; }

 private:
  struct Home {
    unsigned level = 1;
    unsigned windows = 0;   // that `rate` was made of
    double rate = 0;        // smoothed
    double latency = 0;     // smoothed, seconds; 0: not known
    int strangers = 0;      // windows in a row, all above or all below, that were far from `rate`
  };
  struct Trial {
    unsigned level = 1;
    unsigned windows = 0;
    double items = 0;
    double seconds = 0;
    double latency = 0;  // sum
  };

  void watch_home(double rate, double latency);
  void watch_trial(const PaceWindow& seen, double latency);
  void begin_trial();
  void end_trial();
  void settle();
  void search_anew();
  void fall_back(unsigned to);
  std::optional<unsigned> level_above() const;
  std::optional<unsigned> level_below() const;

  Options options_;
  Home home_;
  std::optional<Trial> trial_;
  std::optional<unsigned> no_better_above_;  // the lowest level above home that did not pay
  std::optional<unsigned> no_better_below_;  // the highest one below
  bool looks_longer_ = false;  // at home, before the next trial
  bool upwards_first_ = true;
  unsigned rest_ = 0;          // windows until the next trial
  unsigned next_rest_;
  std::optional<unsigned> ceiling_;  // pushed back there: stay below for a while
  unsigned ceiling_left_ = 0;        // windows
  unsigned next_ceiling_;
  bool wants_pause_ = false;
};

}  // namespace heimdall
