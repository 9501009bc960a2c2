#include "io/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/format.h"

namespace heimdall {

Result<UniqueFd> open_file(const std::filesystem::path& path, int flags, std::string_view what, mode_t mode) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return system_error(errno, format("cannot open the {} '{}'", what, path.string()));
  return UniqueFd(fd);
}

Result<void> write_all(int fd, std::string_view bytes, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(errno, format("cannot write the {}", what));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<std::size_t> read_at(int fd, char* to, std::size_t size, std::uint64_t offset, std::string_view what) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t count = ::pread(fd, to + done, size - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(errno, format("cannot read the {}", what));
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

Result<std::string> read_whole_file(const std::filesystem::path& path, std::string_view what) {
  TRY_ASSIGN(const UniqueFd fd, open_file(path, O_RDONLY, what));
  std::string content;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(errno, format("cannot read the {} '{}'", what, path.string()));
    if (count == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

Result<void> sync_directory(const std::filesystem::path& directory) {
  TRY_ASSIGN(const UniqueFd fd, open_file(directory, O_RDONLY | O_DIRECTORY, "directory"));
  if (fsync(fd.get()) != 0) return system_error(errno, format("cannot sync the directory '{}'", directory.string()));
  return {};
}

Result<FileLock> FileLock::try_lock(const std::filesystem::path& path, IfMissing if_missing) {
  const int flags = if_missing == IfMissing::create ? O_RDWR | O_CREAT : O_RDONLY;
  TRY_ASSIGN(UniqueFd fd, open_file(path, flags, "lock"));
  int result = 0;
  do {
    result = flock(fd.get(), LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return FileLock(std::move(fd));
  if (errno == EWOULDBLOCK) {
    return Error{ErrorCode::locked, format("'{}' is locked by another process", path.string())};
  }
  return system_error(errno, format("cannot lock '{}'", path.string()));
}

}  // namespace heimdall
