#pragma once

#include <functional>
#include <utility>

#include "base/log.h"

namespace heimdall {

// Hands lines on to another log and tells of each one that it takes: for a count of them. `on_line` must be thread-safe.
class WatchedLog final : public Log {
 public:
  WatchedLog(Log& log, std::function<void(LogLevel)> on_line) : log_(log), on_line_(std::move(on_line)) {}

  void write(LogLevel level, std::string_view event, std::string_view message, std::span<const LogField> fields) override {
    log_.write(level, event, message, fields);
    on_line_(level);
  }
  bool takes(LogLevel level) const override { return log_.takes(level); }

 private:
  Log& log_;
  const std::function<void(LogLevel)> on_line_;
};

}  // namespace heimdall
