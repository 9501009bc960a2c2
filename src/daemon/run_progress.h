#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "ports/progress.h"

namespace heimdall {

// How far a run is.
struct RunPosition {
  std::string phase, bucket;  // of the innermost phase; empty between phases
  std::uint64_t done = 0;
  std::optional<std::uint64_t> expected;
  double per_second = 0;      // of the whole phase: steadier than a moment's
};

// The Progress of a run of the service: remembers where it is, and tells it often enough to be watched and seldom enough to cost nothing.
class RunProgress final : public Progress {
 public:
  // Called from the threads of the run, one at a time; they may ask position().
  struct Listener {
    std::function<void(const RunPosition&)> at;  // at both ends of a phase, and at most twice a second in between
    std::function<void(const RunPosition&, std::chrono::nanoseconds took)> phase_ended;
    std::function<void(std::string_view)> warning;
  };
  RunProgress(const Clock& clock, Listener listener) : clock_(clock), listener_(std::move(listener)) {}

  void begin(std::string_view phase, std::string_view bucket, std::optional<std::uint64_t> expected) override;
  void advance(std::uint64_t count) override;
  void end() override;
  void warn(std::string_view message) override;

  RunPosition position() const;

 private:
  struct Phase {
    std::string name, bucket;
    std::optional<std::uint64_t> expected;
    BootTime begun;
    std::uint64_t done = 0;  // up to where an inner phase began
  };
  void tell_later(BootTime now);
  RunPosition position_now() const;

  const Clock& clock_;
  const Listener listener_;
  std::mutex telling_;         // one call of the listener at a time
  mutable std::mutex mutex_;   // guards `phases_`
  std::vector<Phase> phases_;
  std::atomic<std::uint64_t> done_{0};  // of the innermost phase
  std::atomic<std::int64_t> next_{0};   // nanoseconds since boot: nothing is told before
};

}  // namespace heimdall
