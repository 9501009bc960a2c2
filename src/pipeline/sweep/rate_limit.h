#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace heimdall {

// At most so many per second, each turn paying for itself before the next one: what was not used is not saved up. No limit: never waits.
// Not thread-safe.
class RateLimit {
 public:
  explicit RateLimit(std::optional<std::uint64_t> per_second) : per_second_(per_second) {}

  // The most that one turn may take, so that no second sees more.
  std::size_t largest_turn(std::size_t wanted) const {
    return per_second_ ? static_cast<std::size_t>(std::clamp<std::uint64_t>(*per_second_, 1, wanted)) : wanted;
  }
  // How long to wait before a turn may begin.
  std::chrono::nanoseconds wait(BootTime now) const { return std::max(next_ - now, std::chrono::nanoseconds(0)); }
  // A turn of `count` begins.
  void begin(std::uint64_t count, BootTime now) {
    if (!per_second_) return;
    next_ = now + std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * static_cast<double>(count) / static_cast<double>(*per_second_)));
  }

 private:
  std::optional<std::uint64_t> per_second_;
  BootTime next_;
};

}  // namespace heimdall
