#include "daemon/run_progress.h"

#include <algorithm>

namespace heimdall {

namespace {
constexpr auto kInterval = std::chrono::milliseconds(500);
}

void RunProgress::begin(std::string_view phase, std::string_view bucket, std::optional<std::uint64_t> expected) {
  const std::scoped_lock telling(telling_);
  const BootTime now = clock_.boot_now();
  {
    const std::scoped_lock lock(mutex_);
    if (!phases_.empty()) phases_.back().done = done_;
    phases_.push_back({std::string(phase), std::string(bucket), expected, now});
    done_ = 0;
  }
  tell_later(now);
  listener_.at(position());
}

// Called for each page and each batch by several threads: all but a few leave after the first comparison.
void RunProgress::advance(std::uint64_t count) {
  done_ += count;
  const BootTime now = clock_.boot_now();
  if (now.since_boot.count() < next_.load(std::memory_order_relaxed)) return;
  const std::unique_lock telling(telling_, std::try_to_lock);
  if (!telling || now.since_boot.count() < next_) return;
  tell_later(now);
  listener_.at(position());
}

void RunProgress::end() {
  const std::scoped_lock telling(telling_);
  RunPosition ended;
  std::chrono::nanoseconds took{0};
  {
    const std::scoped_lock lock(mutex_);
    if (phases_.empty()) return;
    ended = position_now();
    took = clock_.boot_now() - phases_.back().begun;
  }
  listener_.at(ended);
  listener_.phase_ended(ended, took);
  const std::scoped_lock lock(mutex_);
  phases_.pop_back();
  done_ = phases_.empty() ? 0 : phases_.back().done;
}

void RunProgress::warn(std::string_view message) {
  const std::scoped_lock telling(telling_);
  listener_.warning(message);
}

RunPosition RunProgress::position() const {
  const std::scoped_lock lock(mutex_);
  return position_now();
}

void RunProgress::tell_later(BootTime now) { next_ = (now + kInterval).since_boot.count(); }

RunPosition RunProgress::position_now() const {
  if (phases_.empty()) return {};
  const Phase& phase = phases_.back();
  const double seconds = std::max(std::chrono::duration<double>(clock_.boot_now() - phase.begun).count(), 0.001);
  const std::uint64_t done = done_;
  return {phase.name, phase.bucket, done, phase.expected, static_cast<double>(done) / seconds};
}

}  // namespace heimdall
