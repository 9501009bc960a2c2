#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace heimdall::sqlite {

// SQLite's result codes as errors: BUSY, LOCKED: unavailable; NOTADB, CORRUPT: corrupt; CANTOPEN: not_found;
// PERM, READONLY, AUTH: permission_denied; FULL, IOERR: internal; INTERRUPT: cancelled; ERROR (the SQL is rejected):
// invalid_argument. Without memory: std::bad_alloc, because a value that could not be fetched must not look like an empty one.

enum class OpenMode {
  read_only,  // mode=ro, never immutable; a missing file is not_found and is not created
  create,     // read and write, created if missing
};

// One prepared statement. Not thread-safe. Must not outlive its Database.
class Statement {
 public:
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;
  ~Statement();

  // Parameters count from 1. Bound bytes are copied.
  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, double value);
  Statement& bind_text(int index, std::string_view text);
  Statement& bind_blob(int index, std::string_view bytes);
  Statement& bind_null(int index);

  // true: a row is there; false: the statement ended cleanly.
  Result<bool> step();
  // Ready to be bound and run again.
  void reset();

  int column_count() const;
  // How many parameters the statement has; those that are not bound are NULL.
  int parameter_count() const;
  // Whether it leaves the database as it is. True for ATTACH and most pragmas, too.
  bool is_read_only() const;
  std::string column_name(int column) const;
  // The type with which the table's column was declared; empty for an expression.
  std::string declared_type(int column) const;
  bool is_null(int column) const;
  bool is_blob(int column) const;
  std::int64_t integer(int column) const;
  double real(int column) const;
  // Text or blob bytes of the current row, valid until the next step() or reset(). Numbers as SQLite prints them; NULL is empty.
  std::string_view bytes(int column) const;

 private:
  friend class Database;
  Statement(sqlite3* db, sqlite3_stmt* statement) : db_(db), statement_(statement) {}
  sqlite3* db_;
  sqlite3_stmt* statement_;
};

// One connection. Not thread-safe.
class Database {
 public:
  static Result<Database> open(const std::filesystem::path& path, OpenMode mode, std::chrono::milliseconds busy_timeout);
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  // Runs one or more statements without results.
  Result<void> execute(const std::string& sql);
  // Exactly one statement: invalid_argument for none, for a second one behind a ';' and for a NUL byte in the text.
  Result<Statement> prepare(std::string_view sql);
  // From now on a double-quoted name that does not exist is an error. By default SQLite takes "no_such_column" for a string.
  void refuse_double_quoted_strings();
  // Every statement running on this connection ends with `cancelled` soon after `stop` is requested; the token is asked
  // every few thousand instructions of the virtual machine.
  void set_stop(std::stop_token stop);
  // Number of rows the last INSERT, UPDATE or DELETE changed.
  std::int64_t changes() const;

  // The tables and views that `sql` reads, also through views, sorted, without duplicates (by the authorizer, at prepare).
  Result<std::vector<std::string>> relations_of(std::string_view sql);

  sqlite3* handle() const { return db_; }

 private:
  explicit Database(sqlite3* db);
  sqlite3* db_;
  std::unique_ptr<std::stop_token> stop_;  // stable address for the progress handler
};

}  // namespace heimdall::sqlite
