#include "pipeline/pace.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace heimdall {

namespace {

constexpr double kWorthIt = 1.05;       // a level must be so much better to be moved to
constexpr double kClearlyBetter = 1.20; // one window is enough then
constexpr double kClearlyWorse = 0.85;
constexpr unsigned kEnoughWindows = 3;  // to compare by where it is not clear
constexpr double kSmoothing = 0.25;     // weight of the newest window
constexpr double kStrange = 0.25;       // so far from the usual rate the store may have changed
constexpr int kManyStrangers = 2;
constexpr double kFinest = 1.1;        // levels nearer than this are not told apart
constexpr unsigned kFirstRest = 8;
constexpr unsigned kLongestRest = 32;
constexpr unsigned kFirstCeiling = 16;
constexpr unsigned kLongestCeiling = 128;

double seconds(std::chrono::nanoseconds duration) { return std::chrono::duration<double>(duration).count(); }

// Between two levels by ratio; nothing if there is none worth trying.
std::optional<unsigned> between(unsigned low, unsigned high) {
  if (high - low < 2 || double(high) / low < kFinest) return std::nullopt;
  const auto middle = static_cast<unsigned>(std::lround(std::sqrt(double(low) * high)));
  return std::clamp(middle, low + 1, high - 1);
}

double smoothed(double old, double newest, unsigned windows) {
  return old + (newest - old) * std::max(kSmoothing, 1.0 / (windows + 1));
}

}  // namespace

Pace::Pace(const Options& options) : options_(options), next_rest_(kFirstRest), next_ceiling_(kFirstCeiling) {
  options_.least = std::max(1U, options_.least);
  options_.most = std::max(options_.least, options_.most);
  home_.level = std::clamp(options_.first, options_.least, options_.most);
}

void Pace::window(const PaceWindow& seen) {
  if (ceiling_ && --ceiling_left_ == 0) ceiling_.reset();
  const bool is_pushed_back = seen.push == PaceWindow::Push::back;
  const double latency = seconds(seen.latency);
  const double target = options_.latency_target ? seconds(*options_.latency_target) : 0;
  const bool is_too_slow = target > 0 && latency > target;
  if (is_pushed_back || is_too_slow) {
    wants_pause_ = level() == options_.least;
    // A little too slow asks for a little less.
    const auto wanted = is_pushed_back ? 0U : static_cast<unsigned>(home_.level * target / latency);
    return fall_back(std::max(wanted, home_.level / 2));
  }
  if (seen.items == 0 || seen.elapsed.count() <= 0) return;
  wants_pause_ = false;
  if (trial_) watch_trial(seen, latency);
  else watch_home(double(seen.items) / seconds(seen.elapsed), latency);
}

void Pace::watch_home(double rate, double latency) {
  const bool is_known = home_.windows >= kEnoughWindows;
  if (is_known && home_.latency > 0 && latency > 2 * home_.latency && rate < kWorthIt * home_.rate && home_.level > options_.least) {
    home_.level = std::max(options_.least, home_.level / 2);
    return search_anew();
  }
  const double off = home_.rate > 0 ? rate / home_.rate - 1 : 0;
  if (is_known && std::abs(off) > kStrange) {
    home_.strangers = off > 0 ? std::max(home_.strangers, 0) + 1 : std::min(home_.strangers, 0) - 1;
    if (std::abs(home_.strangers) < kManyStrangers) return;  // one may be a hiccup
    search_anew();
  }
  home_.strangers = 0;
  home_.rate = smoothed(home_.rate, rate, home_.windows);
  home_.latency = smoothed(home_.latency, latency, home_.windows);
  ++home_.windows;
  if (rest_ > 0 && --rest_ > 0) return;
  if (looks_longer_ && home_.windows < kEnoughWindows) return;
  begin_trial();
}

void Pace::begin_trial() {
  const auto above = level_above();
  const auto below = level_below();
  const auto next = upwards_first_ ? (above ? above : below) : (below ? below : above);
  if (!next) return settle();
  trial_ = Trial{.level = *next};
  looks_longer_ = false;
}

void Pace::watch_trial(const PaceWindow& seen, double latency) {
  ++trial_->windows;
  trial_->items += double(seen.items);
  trial_->seconds += seconds(seen.elapsed);
  trial_->latency += latency;
  const double gain = trial_->items / trial_->seconds / home_.rate;
  if (gain > kClearlyBetter || gain < kClearlyWorse || trial_->windows >= kEnoughWindows) return end_trial();
  if (home_.windows >= kEnoughWindows) return;
  // Not clear, and home itself is hardly known: a longer look there first, then the same trial again.
  trial_.reset();
  looks_longer_ = true;
}

void Pace::end_trial() {
  const Trial trial = *std::exchange(trial_, std::nullopt);
  const double rate = trial.items / trial.seconds;
  const bool is_above = trial.level > home_.level;
  if (rate <= kWorthIt * home_.rate) {
    (is_above ? no_better_above_ : no_better_below_) = trial.level;
    return;  // one more window at home, and the next trial
  }
  if (is_above) no_better_below_ = home_.level;
  else no_better_above_ = home_.level;
  upwards_first_ = is_above;
  home_ = Home{.level = trial.level, .windows = trial.windows, .rate = rate, .latency = trial.latency / trial.windows};
  next_rest_ = kFirstRest;
  begin_trial();
}

// The next rest ends with a look at one side, the one after it at the other.
void Pace::settle() {
  rest_ = next_rest_;
  upwards_first_ = !upwards_first_;
  if (upwards_first_) next_rest_ = std::min(2 * next_rest_, kLongestRest);
  (upwards_first_ ? no_better_above_ : no_better_below_).reset();
}

void Pace::search_anew() {
  home_ = Home{.level = home_.level};
  no_better_above_.reset();
  no_better_below_.reset();
  looks_longer_ = false;
  rest_ = 0;
  next_rest_ = kFirstRest;
}

void Pace::fall_back(unsigned to) {
  const unsigned too_much = level();
  ceiling_ = too_much;
  ceiling_left_ = next_ceiling_;
  next_ceiling_ = std::min(2 * next_ceiling_, kLongestCeiling);
  const bool home_is_fine = trial_ && trial_->level > home_.level;
  trial_.reset();
  if (home_is_fine) {
    no_better_above_ = too_much;
    return;
  }
  home_.level = std::max(options_.least, std::min(to, std::min(home_.level, too_much) - 1));
  search_anew();
  no_better_above_ = too_much;
}

std::optional<unsigned> Pace::level_above() const {
  if (no_better_above_) return between(home_.level, *no_better_above_);
  const unsigned most = ceiling_ ? std::min(options_.most, *ceiling_ - 1) : options_.most;
  const unsigned next = std::min(2 * home_.level, most);
  return next > home_.level ? std::optional(next) : std::nullopt;
}

std::optional<unsigned> Pace::level_below() const {
  if (no_better_below_) return between(*no_better_below_, home_.level);
  const unsigned next = std::max(home_.level / 2, options_.least);
  return next < home_.level ? std::optional(next) : std::nullopt;
}

}  // namespace heimdall
