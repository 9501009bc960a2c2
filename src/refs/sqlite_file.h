#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "ports/reference_source.h"

namespace heimdall {

// One database file as it lies on the disk. Nothing here opens it in this process: POSIX drops all locks that a process
// holds on a file as soon as it closes *any* descriptor of that file, so an open() and close() beside a running SQLite
// connection would take its lock away, and with it its snapshot.
struct SqliteFile {
  std::filesystem::path real_path;  // without links: where SQLite looks for -wal, -shm and -journal
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const SqliteFile&) const = default;
};

// not_found if there is none; permission_denied; invalid_argument for a directory; failed_precondition if the file alone is
// mounted here: its -wal and -journal lie elsewhere, and what they hold would be missed without a sign.
Result<SqliteFile> locate_sqlite_file(const std::filesystem::path& path);

// Whether a line of a /proc/PID/mountinfo has `path` as its mount point.
bool is_mount_point(std::string_view mountinfo, std::string_view path);

// Who holds the write lock, of which SQLite has one per database.
struct SqliteWriter {
  bool writing = false;
  pid_t pid = 0;              // 0: a process that cannot be seen from here (another container or host)
  std::uint32_t commits = 0;  // changes with each commit outside WAL mode
  std::uint32_t wal_commits = 0;  // changes with each commit in WAL mode
};

// Looks, without taking a lock, whether a write transaction is open. From a child process, for the reason above.
// permission_denied, internal.
Result<SqliteWriter> look_for_writer(const SqliteFile& file);

// The writer as a mark. Equal marks may mean the same transaction; different ones mean that the first one's has ended: it
// held the only write lock, so that any later commit and any later holder came after it.
WriterMark mark_of(const SqliteWriter& writer);

}  // namespace heimdall
