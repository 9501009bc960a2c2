#pragma once

#include <chrono>
#include <stop_token>
#include <string>

namespace heimdall {

// A moment of the wall clock, UTC, in nanoseconds since 1970.
using Timestamp = std::chrono::sys_time<std::chrono::nanoseconds>;

// A moment on a clock that never steps and goes on while the machine is suspended (CLOCK_BOOTTIME).
// Deadlines are kept on this one: a verdict gets stale during a suspend, too.
struct BootTime {
  std::chrono::nanoseconds since_boot{0};
  auto operator<=>(const BootTime&) const = default;
};
inline BootTime operator+(BootTime t, std::chrono::nanoseconds d) { return {t.since_boot + d}; }
inline std::chrono::nanoseconds operator-(BootTime a, BootTime b) { return a.since_boot - b.since_boot; }

// The only source of time in the product, so that tests own it. Implementations are thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp now() const = 0;
  virtual BootTime boot_now() const = 0;
  // Names this boot of the machine; boot times of two boots do not compare.
  virtual std::string boot_id() const = 0;
  // Returns after `duration`, or at once when `stop` is requested.
  virtual void sleep_for(std::chrono::nanoseconds duration, std::stop_token stop) = 0;
};

class SystemClock final : public Clock {
 public:
  Timestamp now() const override;
  BootTime boot_now() const override;
  std::string boot_id() const override;
  void sleep_for(std::chrono::nanoseconds duration, std::stop_token stop) override;
};

}  // namespace heimdall
