#include "refs/sqlite_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "base/format.h"
#include "io/fd.h"
#include "io/file.h"

namespace heimdall {

namespace {

// Where SQLite's locks are, a file format since 2004 (https://www.sqlite.org/src/file/src/os.h, walformat.html section 2.3).
constexpr off_t kPendingByte = 0x40000000;
constexpr off_t kLockBytes = 2 + 510;      // pending, reserved, shared
constexpr off_t kWalWriteLock = 120;       // in the -shm file
constexpr off_t kChangeCounter = 24;       // in the header of the database
constexpr off_t kWalChangeCounter = 8;     // iChange in the first header of the -shm file

// What the child tells its parent. `failed` is 0, or the errno of opening the database ('d') or the -shm file ('s').
struct Answer {
  int failed = 0;
  char which = 'd';
  SqliteWriter writer;
};

// Only a write lock stands in the way of a read lock: F_RDLCK asks for exactly those. Readers of the database do not show.
void ask(int fd, off_t start, off_t length, SqliteWriter& writer) {
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  if (fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return;
  writer.writing = true;
  if (lock.l_pid > 0) writer.pid = lock.l_pid;
}

// Between fork() and _exit(): system calls only. The lock is looked at before the counter: a commit in between makes the mark
// name a transaction that has ended, and waiting for that is merely too long, never too short.
Answer look(const char* database, const char* shm) {
  Answer answer;
  const int db = open(database, O_RDONLY | O_CLOEXEC);
  if (db < 0) {
    answer.failed = errno;
    return answer;
  }
  ask(db, kPendingByte, kLockBytes, answer.writer);
  ssize_t ignored = pread(db, &answer.writer.commits, sizeof answer.writer.commits, kChangeCounter);
  const int wal = open(shm, O_RDONLY | O_CLOEXEC);
  if (wal < 0) {
    if (errno != ENOENT) {  // no -shm: nobody has the database open in WAL mode
      answer.failed = errno;
      answer.which = 's';
    }
    return answer;
  }
  ask(wal, kWalWriteLock, 1, answer.writer);
  ignored = pread(wal, &answer.writer.wal_commits, sizeof answer.writer.wal_commits, kWalChangeCounter);
  (void)ignored;  // a file too short to have a counter has had no commit
  return answer;
}

}  // namespace

bool is_mount_point(std::string_view mountinfo, std::string_view path) {
  while (!mountinfo.empty()) {
    const std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(line.size() + 1, mountinfo.size()));
    std::size_t begin = 0;
    for (int field = 0; field < 4 && begin != std::string_view::npos; ++field) {
      begin = line.find(' ', begin);
      if (begin != std::string_view::npos) ++begin;
    }
    if (begin == std::string_view::npos) continue;
    const std::string_view escaped = line.substr(begin, line.find(' ', begin) - begin);
    std::string point;
    for (std::size_t i = 0; i < escaped.size(); ++i) {  // blank, tab, newline and backslash are \ooo
      if (escaped[i] == '\\' && i + 3 < escaped.size()) {
        point += static_cast<char>(((escaped[i + 1] & 7) << 6) | ((escaped[i + 2] & 7) << 3) | (escaped[i + 3] & 7));
        i += 3;
      } else {
        point += escaped[i];
      }
    }
    if (point == path) return true;
  }
  return false;
}

Result<SqliteFile> locate_sqlite_file(const std::filesystem::path& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr), &std::free);
  struct stat info {};
  if (real == nullptr || stat(real.get(), &info) != 0) {
    Error error = system_error(errno, format("cannot open the database '{}'", path.string()));
    if (error.code == ErrorCode::not_found) {
      error.hint = "check databases.NAME.path; Heimdall Storage never creates it";
    }
    return error;
  }
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorCode::invalid_argument, format("the database '{}' is no file", path.string()),
                 "databases.NAME.path names the database file itself"};
  }
  // Without /proc nothing can be said about mounts; the file is then taken as it is.
  const auto mounts = read_whole_file("/proc/self/mountinfo", "list of mounts");
  if (mounts && is_mount_point(*mounts, real.get())) {
    return Error{ErrorCode::failed_precondition,
                 format("the database '{}' is mounted here as a single file: its -wal and -journal cannot be seen, and rows "
                        "that are still in them would be missed", path.string()),
                 "mount the directory of the database instead"};
  }
  return SqliteFile{real.get(), info.st_dev, info.st_ino};
}

Result<SqliteWriter> look_for_writer(const SqliteFile& file) {
  const std::string shm = file.real_path.string() + "-shm";
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return system_error(errno, "cannot make a pipe");
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);

  // Signals stay with the parent: its handlers must not run twice.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child = fork();
  if (child == 0) {
    const Answer answer = look(file.real_path.c_str(), shm.c_str());
    _exit(::write(ends[1], &answer, sizeof answer) == sizeof answer ? 0 : 1);
  }
  const int fork_error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) return system_error(fork_error, "cannot start a process");

  writing.reset();
  Answer answer;
  ssize_t count = 0;
  do {
    count = ::read(reading.get(), &answer, sizeof answer);
  } while (count < 0 && errno == EINTR);
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (count != sizeof answer) {
    return Error{ErrorCode::internal, format("cannot tell who writes to '{}': no answer", file.real_path.string())};
  }
  if (answer.failed != 0) {
    return system_error(answer.failed, format("cannot tell who writes to the database: cannot open '{}'",
                                              answer.which == 'd' ? file.real_path.string() : shm));
  }
  return answer.writer;
}

WriterMark mark_of(const SqliteWriter& writer) {
  if (!writer.writing) return {};
  return {format("pid {} commits {}.{}", writer.pid, writer.commits, writer.wal_commits)};
}

}  // namespace heimdall
