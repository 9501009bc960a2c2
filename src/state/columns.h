#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "io/sqlite.h"

namespace heimdall {

// SQLite's integers are signed 64 bit; ours are the same bits.
inline std::int64_t to_column(std::uint64_t value) { return static_cast<std::int64_t>(value); }
inline std::uint64_t from_column(std::int64_t value) { return static_cast<std::uint64_t>(value); }

// Times are nanoseconds since 1970.
inline std::int64_t to_column(Timestamp time) { return time.time_since_epoch().count(); }
inline Timestamp time_from(std::int64_t value) { return Timestamp(std::chrono::nanoseconds(value)); }

inline void bind_time(sqlite::Statement& statement, int index, const std::optional<Timestamp>& time) {
  if (time) {
    statement.bind(index, to_column(*time));
  } else {
    statement.bind_null(index);
  }
}
inline std::optional<Timestamp> time_of(const sqlite::Statement& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return time_from(row.integer(column));
}

}  // namespace heimdall
