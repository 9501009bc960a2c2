#include "state/open_database.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <system_error>

#include "base/format.h"
#include "base/text.h"
#include "io/file.h"
#include "state/schema.h"

namespace heimdall {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kBusyTimeout = std::chrono::seconds(10);
constexpr std::int64_t kAlwaysChecked = std::int64_t{64} << 20;  // bytes that are read in well under a second

fs::path beside(const fs::path& path, std::string_view suffix) { return fs::path(path.string() + std::string(suffix)); }

// Size in bytes; nullopt if there is no such file.
Result<std::optional<std::int64_t>> size_of(const fs::path& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) == 0) return std::optional<std::int64_t>(info.st_size);
  if (errno == ENOENT) return std::optional<std::int64_t>();
  return system_error(errno, format("cannot look at '{}'", path.string()));
}

Result<bool> is_empty_directory(const fs::path& path) {
  std::error_code failure;
  const bool empty = fs::is_empty(path, failure);
  if (failure) return system_error(failure.value(), format("cannot read the directory '{}'", path.string()));
  return empty;
}

// The open file of SQLite's that cannot be made beside the database shows as "not found".
Error explained(Error error, const fs::path& path) {
  if (error.code == ErrorCode::not_found) error.code = ErrorCode::permission_denied;
  if (error.code == ErrorCode::permission_denied && error.hint.empty()) {
    error.hint = "run as the user that owns the state directory";
  }
  return with_context(std::move(error), format("state database '{}'", path.string()));
}

// What SQLite's check finds first; nullopt if the file is sound.
Result<std::optional<std::string>> first_damage(sqlite::Database& db, bool suspect) {
  TRY_ASSIGN(sqlite::Statement check, db.prepare(suspect ? "PRAGMA integrity_check(1)" : "PRAGMA quick_check(1)"));
  TRY_ASSIGN(const bool found, check.step());
  if (found && check.bytes(0) == "ok") return std::optional<std::string>();
  return std::optional(found ? std::string(check.bytes(0)) : std::string("the check gave no answer"));
}

Result<std::optional<std::string>> damage_in(const fs::path& path, std::int64_t size, bool suspect) {
  // A log that is left over means that the last process was killed, or lost its power.
  TRY_ASSIGN(const auto log_size, size_of(beside(path, "-wal")));
  TRY_ASSIGN(sqlite::Database db, sqlite::Database::open(path, sqlite::OpenMode::create, kBusyTimeout));
  TRY_ASSIGN(const std::int64_t version, integer_of(db, "PRAGMA user_version"));
  if (version > kStateSchemaVersion) return std::optional<std::string>();  // not ours to judge
  if (!suspect && size >= kAlwaysChecked && log_size.value_or(0) == 0) return std::optional<std::string>();
  return first_damage(db, suspect);
}

// Why the database cannot be used, if that is damage and nothing else. Disk full, missing rights or a busy file are errors.
Result<std::optional<std::string>> find_damage(const StateDirectory& directory) {
  const fs::path path = directory.database();
  TRY_ASSIGN(const auto size, size_of(path));
  if (size.value_or(0) == 0) {
    // Without the database nobody knows whether the clock stepped since the ledgers were written: their ages mean nothing.
    TRY_ASSIGN(const bool no_ledgers, is_empty_directory(directory.ledgers()));
    if (no_ledgers) return std::optional<std::string>();
    return std::optional<std::string>(size ? "it is empty" : "it is missing");
  }
  TRY_ASSIGN(const auto suspect, size_of(beside(path, ".suspect")));
  auto damage = damage_in(path, *size, suspect.has_value());
  if (!damage && damage.error().code == ErrorCode::corrupt) return std::optional(damage.error().message);
  return damage;
}

Result<void> rename_if_there(const fs::path& from, const fs::path& to) {
  if (rename(from.c_str(), to.c_str()) == 0 || errno == ENOENT) return {};
  return system_error(errno, format("cannot rename '{}' to '{}'", from.string(), to.string()));
}

// The ledgers go first: a crash in between must not leave them beside a fresh database.
Result<std::string> set_aside(const StateDirectory& directory, std::string_view damage, const Clock& clock) {
  const fs::path path = directory.database();
  std::string suffix = format(".damaged-{}", rfc3339(clock.now()));
  for (int n = 2; fs::exists(beside(path, suffix)) || fs::exists(beside(directory.ledgers(), suffix)); ++n) {
    suffix = format(".damaged-{}-{}", rfc3339(clock.now()), n);
  }
  const fs::path kept = beside(path, suffix);
  TRY_ASSIGN(const bool no_ledgers, is_empty_directory(directory.ledgers()));
  if (!no_ledgers) {
    TRY(rename_if_there(directory.ledgers(), beside(directory.ledgers(), suffix)));
    if (mkdir(directory.ledgers().c_str(), 0700) != 0) {
      return system_error(errno, format("cannot create '{}'", directory.ledgers().string()));
    }
    TRY(sync_directory(directory.root()));
  }
  TRY(rename_if_there(beside(path, "-wal"), beside(kept, "-wal")));
  TRY(rename_if_there(beside(path, "-shm"), beside(kept, "-shm")));
  TRY(rename_if_there(path, kept));
  TRY(rename_if_there(beside(path, ".suspect"), beside(kept, ".suspect")));
  TRY(sync_directory(directory.root()));
  return format(
      "the state database '{}' cannot be used ({}) and was set aside as '{}', the ledgers with it. A fresh one was begun: the "
      "history of runs, the baselines, the list of used plans and the record of deletions in doubt are empty, and every orphan "
      "counts as first seen now, so that grace starts again",
      path.string(), damage, kept.string());
}

Result<sqlite::Database> connect(const fs::path& path) {
  // Made here for its mode (SQLite's own follows the umask) and for an error that tells why. An existing one is not opened: to
  // close it would drop the locks that another connection of this process has on it (https://sqlite.org/howtocorrupt.html, 2.2).
  if (access(path.c_str(), F_OK) != 0) {
    auto made = open_file(path, O_RDWR | O_CREAT | O_EXCL, "state database");
    if (!made && access(path.c_str(), F_OK) != 0) return made.error();
  }
  if (access(path.c_str(), R_OK | W_OK) != 0) return system_error(errno, "it cannot be read and written");
  TRY_ASSIGN(sqlite::Database db, sqlite::Database::open(path, sqlite::OpenMode::create, kBusyTimeout));
  TRY(prepare_schema(db));
  TRY(sync_directory(path.parent_path()));
  return db;
}

}  // namespace

Result<OpenDatabase> open_database(const StateDirectory& directory, const Clock& clock) {
  const fs::path path = directory.database();
  TRY_ASSIGN(DatabaseGuard guard, DatabaseGuard::enter(beside(path, ".lock")));
  std::string warning;
  if (guard.alone()) {
    auto damage = find_damage(directory);
    if (!damage) return explained(damage.error(), path);
    if (*damage) {
      TRY_ASSIGN(warning, set_aside(directory, **damage, clock));
    } else {
      unlink(beside(path, ".suspect").c_str());
    }
  }
  auto db = connect(path);
  if (!db) {
    if (db.error().code == ErrorCode::corrupt) {
      suspect_damage(directory);
      db.error().hint = "stop every heimdall-storage that uses this state directory; the next start then sets the file aside";
    }
    return explained(db.error(), path);
  }
  TRY(guard.share());
  return OpenDatabase{std::move(guard), std::move(*db), std::move(warning)};
}

void suspect_damage(const StateDirectory& directory) {
  (void)open_file(beside(directory.database(), ".suspect"), O_WRONLY | O_CREAT, "mark");
}

}  // namespace heimdall
