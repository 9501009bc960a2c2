#include "io/sqlite.h"

#include <sqlite3.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

#include "base/format.h"

namespace heimdall::sqlite {

namespace {

constexpr std::string_view kFreeSpace = "free some space on that file system, then run the command again";
constexpr std::uint64_t kLittleRoom = std::uint64_t{64} << 10;  // the file that connections share takes 32 KiB, the log some pages

// What SQLite cannot write for lack of room is not always SQLITE_FULL: a file that it maps is "disk I/O error".
bool is_out_of_room(sqlite3* db) {
  const char* const file = db != nullptr ? sqlite3_db_filename(db, "main") : nullptr;
  struct statvfs disk {};
  return file != nullptr && *file != '\0' && statvfs(file, &disk) == 0 && std::uint64_t{disk.f_bavail} * disk.f_frsize < kLittleRoom;
}

Error to_error(sqlite3* db, int code, std::string_view what) {
  if (code == SQLITE_NOMEM) throw std::bad_alloc();
  const std::string reason = db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  Error error{ErrorCode::internal, format("{}: {}", what, reason)};
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      error.code = ErrorCode::unavailable;
      error.hint = "another process is writing to the database; try again when its transaction has ended";
      break;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT: error.code = ErrorCode::corrupt; break;
    case SQLITE_CANTOPEN: error.code = ErrorCode::not_found; break;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY: error.code = ErrorCode::permission_denied; break;
    case SQLITE_INTERRUPT: error.code = ErrorCode::cancelled; break;
    case SQLITE_ERROR: error.code = ErrorCode::invalid_argument; break;
    case SQLITE_IOERR:
      if (is_out_of_room(db)) {
        error.message += " (its file system is full)";
        error.hint = kFreeSpace;
      } else {
        error.hint = "look at the disk and at the kernel's log";
      }
      break;
    case SQLITE_FULL: error.hint = kFreeSpace; break;
    default: break;
  }
  return error;
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : db_(other.db_), statement_(std::exchange(other.statement_, nullptr)) {}
Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(db_, other.db_);
  std::swap(statement_, other.statement_);
  return *this;
}
Statement::~Statement() { sqlite3_finalize(statement_); }

// Binding fails only for a parameter that does not exist or without memory: SQLite then reports it at step() (NULL stays bound
// and our own statements are covered by tests), so these are not checked one by one.
Statement& Statement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(statement_, index, value);
  return *this;
}
Statement& Statement::bind(int index, double value) {
  sqlite3_bind_double(statement_, index, value);
  return *this;
}
Statement& Statement::bind_text(int index, std::string_view text) {
  sqlite3_bind_text64(statement_, index, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}
Statement& Statement::bind_blob(int index, std::string_view bytes) {
  // A null pointer would bind NULL.
  sqlite3_bind_blob64(statement_, index, bytes.empty() ? "" : bytes.data(), bytes.size(), SQLITE_TRANSIENT);
  return *this;
}
Statement& Statement::bind_null(int index) {
  sqlite3_bind_null(statement_, index);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return to_error(db_, sqlite3_extended_errcode(db_), "the database failed");
}

void Statement::reset() { sqlite3_reset(statement_); }

int Statement::column_count() const { return sqlite3_column_count(statement_); }
int Statement::parameter_count() const { return sqlite3_bind_parameter_count(statement_); }
bool Statement::is_read_only() const { return sqlite3_stmt_readonly(statement_) != 0; }
std::string Statement::declared_type(int column) const {
  const char* type = sqlite3_column_decltype(statement_, column);
  return type != nullptr ? type : "";
}
std::string Statement::column_name(int column) const {
  const char* name = sqlite3_column_name(statement_, column);
  return name != nullptr ? name : "";
}
bool Statement::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
bool Statement::is_blob(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_BLOB; }
std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }
double Statement::real(int column) const { return sqlite3_column_double(statement_, column); }
std::string_view Statement::bytes(int column) const {
  // column_blob() on a number would give its text, too, but only column_text() is documented to; both give a blob's bytes.
  const void* data = is_blob(column) ? sqlite3_column_blob(statement_, column)
                                     : static_cast<const void*>(sqlite3_column_text(statement_, column));
  if (data == nullptr) {
    // Also the answer for an empty blob: only the error code tells.
    if (!is_null(column) && sqlite3_errcode(db_) == SQLITE_NOMEM) throw std::bad_alloc();
    return {};
  }
  return {static_cast<const char*>(data), static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

Result<Database> Database::open(const std::filesystem::path& path, OpenMode mode, std::chrono::milliseconds busy_timeout) {
  const int flags = mode == OpenMode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database db(raw);
  if (code != SQLITE_OK) return to_error(raw, code, format("cannot open the database '{}'", path.string()));
  sqlite3_busy_timeout(raw, static_cast<int>(busy_timeout.count()));
  return db;
}

Database::Database(sqlite3* db) : db_(db) {}
Database::Database(Database&& other) noexcept : db_(std::exchange(other.db_, nullptr)), stop_(std::move(other.stop_)) {}
Database& Database::operator=(Database&& other) noexcept {
  std::swap(db_, other.db_);
  std::swap(stop_, other.stop_);
  return *this;
}
Database::~Database() { sqlite3_close_v2(db_); }

Result<void> Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return to_error(db_, code, "the database failed");
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  // SQLite stops at a NUL byte and would ignore what follows.
  if (sql.find('\0') != std::string_view::npos || sql.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    return Error{ErrorCode::invalid_argument, "the query holds a NUL byte or is too long"};
  }
  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  const char* const end = sql.data() + sql.size();
  int code = sqlite3_prepare_v2(db_, sql.data(), static_cast<int>(sql.size()), &raw, &tail);
  if (code != SQLITE_OK) {
    return to_error(db_, code, (code & 0xFF) == SQLITE_ERROR ? "the database rejects the query" : "the database failed");
  }
  Statement statement(db_, raw);
  if (raw == nullptr) return Error{ErrorCode::invalid_argument, "the query is empty"};
  while (tail != nullptr && tail < end) {  // blanks, comments and ';' compile to nothing
    sqlite3_stmt* second = nullptr;
    code = sqlite3_prepare_v2(db_, tail, static_cast<int>(end - tail), &second, &tail);
    sqlite3_finalize(second);
    if (code != SQLITE_OK || second != nullptr) {
      return Error{ErrorCode::invalid_argument, "the query is more than one statement"};
    }
  }
  return statement;
}

void Database::refuse_double_quoted_strings() {
  sqlite3_db_config(db_, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
}

void Database::set_stop(std::stop_token stop) {
  stop_ = std::make_unique<std::stop_token>(std::move(stop));
  constexpr int kInstructions = 4000;
  sqlite3_progress_handler(
      db_, kInstructions,
      [](void* token) { return static_cast<std::stop_token*>(token)->stop_requested() ? 1 : 0; }, stop_.get());
}

std::int64_t Database::changes() const { return sqlite3_changes64(db_); }

Result<std::vector<std::string>> Database::relations_of(std::string_view sql) {
  std::vector<std::string> relations;
  sqlite3_set_authorizer(
      db_,
      [](void* context, int action, const char* table, const char*, const char*, const char*) {
        if (action == SQLITE_READ && table != nullptr) {
          static_cast<std::vector<std::string>*>(context)->emplace_back(table);
        }
        return SQLITE_OK;
      },
      &relations);
  auto statement = prepare(sql);
  sqlite3_set_authorizer(db_, nullptr, nullptr);
  TRY(statement);
  std::sort(relations.begin(), relations.end());
  relations.erase(std::unique(relations.begin(), relations.end()), relations.end());
  return relations;
}

}  // namespace heimdall::sqlite
