#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ports/progress.h"

namespace heimdall {

// Progress on standard error: a line that is drawn again and again on a terminal, a line each 30 s elsewhere. With rate, and an estimate of
// the time left where the total is known from the last run. Phases nest: a recheck within a sweep. Thread-safe.
class TerminalProgress final : public Progress {
 public:
  enum class Style { bar, lines, none };
  // A bar on a terminal, lines elsewhere.
  static Style style_of_stderr();

  explicit TerminalProgress(Style style) : style_(style) {}
  ~TerminalProgress() override;

  void begin(std::string_view phase, std::string_view bucket, std::optional<std::uint64_t> expected) override;
  void advance(std::uint64_t count) override;
  void end() override;
  void warn(std::string_view message) override;

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  struct Phase {
    std::string label;
    std::optional<std::uint64_t> expected;
    SteadyTime begun;
    std::uint64_t done = 0;  // while an inner phase runs
  };

  static std::string line(const Phase& phase, std::uint64_t done, SteadyTime now);
  void draw(SteadyTime now);
  void draw_next(SteadyTime now);
  void erase();

  const Style style_;
  std::mutex mutex_;  // guards all below but the atomics
  std::vector<Phase> phases_;
  bool drawn_ = false;
  std::atomic<std::uint64_t> done_{0};  // of the innermost phase
  std::atomic<std::chrono::steady_clock::rep> next_draw_{0};
};

}  // namespace heimdall
