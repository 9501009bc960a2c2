#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "io/fd.h"

namespace heimdall {

// open(2) with O_CLOEXEC, retried on EINTR. `what` names the file's role in the error ("plan", "state directory").
Result<UniqueFd> open_file(const std::filesystem::path& path, int flags, std::string_view what, mode_t mode = 0600);

// All bytes, or none written that count: loops over short writes.
Result<void> write_all(int fd, std::string_view bytes, std::string_view what);

// pread(2) until `size` bytes or the end of the file; how many there were.
Result<std::size_t> read_at(int fd, char* to, std::size_t size, std::uint64_t offset, std::string_view what);

Result<std::string> read_whole_file(const std::filesystem::path& path, std::string_view what);

// Makes the names in a directory durable (after a rename into it).
Result<void> sync_directory(const std::filesystem::path& directory);

inline Timestamp to_timestamp(const timespec& t) {
  return Timestamp(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

// A kernel file lock (flock) held until destroyed or until the process dies, however it dies.
class FileLock {
 public:
  // `locked` if another process (or another holder in this one) has it. The file (or directory) must exist unless `create`.
  enum class IfMissing { create, fail };
  static Result<FileLock> try_lock(const std::filesystem::path& path, IfMissing if_missing);

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace heimdall
