#pragma once

// Helpers of the tests in this folder; never part of the product.

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "daemon/event_log.h"
#include "daemon/runner.h"

namespace heimdall::testing {

inline Timestamp at(const std::string& text) {
  const auto time = parse_rfc3339(text);
  EXPECT_TRUE(time.has_value()) << text;
  return time.value_or(Timestamp{});
}

// Waits until `condition` holds; false if it does not within a time that no machine needs.
template <class Condition>
bool eventually(Condition condition) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

// Keeps every line. Thread-safe.
class RecordedLog final : public Log {
 public:
  struct Line {
    LogLevel level;
    std::string event, message;
    std::map<std::string, std::string> fields;  // numbers as text
  };

  void write(LogLevel level, std::string_view event, std::string_view message, std::span<const LogField> fields) override {
    Line line{level, std::string(event), std::string(message), {}};
    for (const LogField& field : fields) {
      line.fields[std::string(field.name)] = std::visit(
          [](const auto& value) {
            if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) return value;
            else return std::to_string(value);
          },
          field.value);
    }
    const std::scoped_lock lock(mutex_);
    lines_.push_back(std::move(line));
  }
  bool takes(LogLevel) const override { return true; }

  std::vector<Line> lines() const {
    const std::scoped_lock lock(mutex_);
    return lines_;
  }
  std::vector<Line> of(std::string_view event) const {
    std::vector<Line> found;
    for (Line& line : lines()) {
      if (line.event == event) found.push_back(std::move(line));
    }
    return found;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Line> lines_;
};

inline std::vector<RunEvent> events_of(const EventLog& events, const std::string& run_id, const std::string& type = "") {
  std::vector<RunEvent> found;
  for (RunEvent& event : events.after(0, run_id, 100'000).events) {
    if (type.empty() || event.type == type) found.push_back(std::move(event));
  }
  return found;
}

inline RunOutcome outcome_of(RunStatus status, std::optional<Error> error = std::nullopt) {
  RunOutcome outcome;
  outcome.report.status = status;
  if (error) outcome.report.error = error->message;
  outcome.error = std::move(error);
  return outcome;
}

}  // namespace heimdall::testing
