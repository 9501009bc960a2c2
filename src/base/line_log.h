#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/environment.h"
#include "base/log.h"

namespace heimdall {

std::string_view to_string(LogLevel level);  // "debug", "info", "warning", "error"
std::optional<LogLevel> log_level_named(std::string_view name);

// {"time":"2026-11-25T17:00:00.123Z","level":"info","event":"run.started","message":"a run began","run_id":"..."}, without a line end; valid JSON whatever the
// texts hold.
std::string json_log_line(Timestamp now, LogLevel level, std::string_view event, std::string_view message, std::span<const LogField> fields);

// A log of one line per event, written to a descriptor.
//
// human:  2026-11-25T17:00:00.123Z info  run.started  a run began  run_id=20261125T170000Z-7f3a9c buckets="a, b"
// json:   json_log_line()
//
// Whatever a message or a value holds, the line stays one line of UTF-8 without control characters. A line of up to 4096 bytes leaves with one
// write(2), longer ones in pieces that nothing of this process comes between. A descriptor that takes nothing for a while (a pipe that nobody
// reads, a full disk) loses lines; the next one that gets through is followed by how many. Thread-safe.
class LineLog final : public Log {
 public:
  enum class Format { human, json };
  enum class Colours { off, on };
  enum class Priorities { off, on };  // "<6>" in front, as journald reads them

  struct Options {
    LogLevel level = LogLevel::info;  // what is below is dropped
    Format format = Format::human;
    Colours colours = Colours::off;
    Priorities priorities = Priorities::off;
  };
  // Colours on a terminal (but for $NO_COLOR and TERM=dumb), priorities where $JOURNAL_STREAM says that `fd` leads to journald.
  static Options suited_to(int fd, const Environment& environment);

  // `fd` is borrowed.
  LineLog(int fd, Options options, const Clock& clock) : fd_(fd), options_(options), clock_(clock), level_(options.level) {}

  void write(LogLevel level, std::string_view event, std::string_view message, std::span<const LogField> fields) override;
  bool takes(LogLevel level) const override { return level >= level_.load(std::memory_order_relaxed); }
  void set_level(LogLevel level) { level_ = level; }

 private:
  std::string line(LogLevel level, std::string_view event, std::string_view message, std::span<const LogField> fields) const;
  bool send(std::string_view line);

  const int fd_;
  const Options options_;
  const Clock& clock_;
  std::atomic<LogLevel> level_;
  std::mutex mutex_;  // guards the descriptor and the two below
  std::uint64_t lost_ = 0;
  bool cut_ = false;  // the last line has no end
};

}  // namespace heimdall
