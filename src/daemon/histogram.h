#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

namespace heimdall {

// How often something took how long. `bounds` are upper bounds in seconds, growing. Not thread-safe.
template <std::size_t n>
class DurationHistogram {
 public:
  explicit DurationHistogram(const std::array<double, n>& bounds) : bounds_(&bounds) {}

  void add(std::chrono::nanoseconds took) {
    const double seconds = std::chrono::duration<double>(took).count();
    const auto at = std::lower_bound(bounds_->begin(), bounds_->end(), seconds);
    ++counts_[static_cast<std::size_t>(at - bounds_->begin())];
    sum_seconds_ += seconds;
  }

  std::span<const double> bounds() const { return *bounds_; }
  // Of each bucket alone; the last one of what is above all bounds.
  std::span<const std::uint64_t> counts() const { return counts_; }
  double sum_seconds() const { return sum_seconds_; }
  bool empty() const {
    return std::all_of(counts_.begin(), counts_.end(), [](std::uint64_t count) { return count == 0; });
  }

 private:
  const std::array<double, n>* bounds_;
  std::array<std::uint64_t, n + 1> counts_{};
  double sum_seconds_ = 0;
};

}  // namespace heimdall
