#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "io/sqlite.h"

namespace heimdall {

inline constexpr std::int64_t kStateSchemaVersion = 2;  // PRAGMA user_version

// The single integer that `sql` yields.
Result<std::int64_t> integer_of(sqlite::Database& db, std::string_view sql);

// Makes a connection durable, and gives a fresh file its tables and one of an older version what it lacks, in one transaction: a file is of one
// version or of another, whenever its process dies, and several processes may try at once. failed_precondition if a newer version wrote the file,
// invalid_argument if it is the database of another program; both leave it as it is.
Result<void> prepare_schema(sqlite::Database& db);

}  // namespace heimdall
