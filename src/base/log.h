#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace heimdall {

enum class LogLevel { debug, info, warning, error };

// One named value of a log line. Never a secret, never a URL that could hold one.
struct LogField {
  std::string_view name;  // snake_case, with its unit: duration_seconds, size_bytes
  std::variant<std::string, std::int64_t, std::uint64_t, double, bool> value;
};

// Where the service says what happened: one line per event. `event` is a stable name ("run.started"), `message` one sentence for people.
// Thread-safe; never fails, never blocks for long.
class Log {
 public:
  virtual ~Log() = default;
  virtual void write(LogLevel level, std::string_view event, std::string_view message, std::span<const LogField> fields) = 0;
  // False if a line of that level would be dropped: spares the making of it.
  virtual bool takes(LogLevel level) const = 0;

  void debug(std::string_view event, std::string_view message, std::initializer_list<LogField> fields = {}) { put(LogLevel::debug, event, message, fields); }
  void info(std::string_view event, std::string_view message, std::initializer_list<LogField> fields = {}) { put(LogLevel::info, event, message, fields); }
  void warning(std::string_view event, std::string_view message, std::initializer_list<LogField> fields = {}) { put(LogLevel::warning, event, message, fields); }
  void error(std::string_view event, std::string_view message, std::initializer_list<LogField> fields = {}) { put(LogLevel::error, event, message, fields); }

 private:
  void put(LogLevel level, std::string_view event, std::string_view message, std::initializer_list<LogField> fields) {
    if (takes(level)) write(level, event, message, {fields.begin(), fields.size()});
  }
};

}  // namespace heimdall
