#pragma once

#include <mutex>
#include <string>

#include "base/clock.h"

namespace heimdall::testing {

// A clock that stands still until a test moves it. sleep_for() advances both clocks by its duration and returns at once, so
// that no test ever waits; after `stop` was requested it advances nothing, as the real one returns early. Thread-safe.
class FakeClock final : public Clock {
 public:
  // 2026-11-23T00:14:16Z, an hour after the machine started.
  explicit FakeClock(Timestamp now = Timestamp(std::chrono::seconds(1795392856)),
                     std::chrono::nanoseconds since_boot = std::chrono::hours(1))
      : now_(now), boot_{since_boot} {}

  Timestamp now() const override {
    const std::scoped_lock lock(mutex_);
    return now_;
  }
  BootTime boot_now() const override {
    const std::scoped_lock lock(mutex_);
    return boot_;
  }
  std::string boot_id() const override {
    const std::scoped_lock lock(mutex_);
    return boot_id_;
  }
  void sleep_for(std::chrono::nanoseconds duration, std::stop_token stop) override {
    const std::scoped_lock lock(mutex_);
    if (stop.stop_requested()) return;
    now_ += duration;
    boot_ = boot_ + duration;
    slept_ += duration;
  }

  // Both clocks go on by `duration`, as time does.
  void advance(std::chrono::nanoseconds duration) {
    const std::scoped_lock lock(mutex_);
    now_ += duration;
    boot_ = boot_ + duration;
  }
  // The wall clock is stepped; the boot clock never is.
  void set_now(Timestamp now) {
    const std::scoped_lock lock(mutex_);
    now_ = now;
  }
  void set_boot(BootTime boot) {
    const std::scoped_lock lock(mutex_);
    boot_ = boot;
  }
  // The machine was started again.
  void set_boot_id(std::string id) {
    const std::scoped_lock lock(mutex_);
    boot_id_ = std::move(id);
  }
  // The sum of all sleeps.
  std::chrono::nanoseconds slept() const {
    const std::scoped_lock lock(mutex_);
    return slept_;
  }

 private:
  mutable std::mutex mutex_;
  Timestamp now_;
  BootTime boot_;
  std::string boot_id_ = "fake-boot";
  std::chrono::nanoseconds slept_{0};
};

}  // namespace heimdall::testing
