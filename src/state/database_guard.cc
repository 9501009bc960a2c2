#include "state/database_guard.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "base/format.h"
#include "io/file.h"

namespace heimdall {

namespace {

int lock(int fd, int operation) {
  int result = 0;
  do {
    result = flock(fd, operation);
  } while (result != 0 && errno == EINTR);
  return result;
}

}  // namespace

Result<DatabaseGuard> DatabaseGuard::enter(const std::filesystem::path& path) {
  TRY_ASSIGN(UniqueFd fd, open_file(path, O_RDWR | O_CREAT, "lock of the state database"));
  // Twice: who held it alone may have died halfway, and then it is ours to check.
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (lock(fd.get(), LOCK_EX | LOCK_NB) == 0) return DatabaseGuard(std::move(fd), true);
    if (errno != EWOULDBLOCK) return system_error(errno, format("cannot lock '{}'", path.string()));
    if (lock(fd.get(), LOCK_SH) != 0) return system_error(errno, format("cannot lock '{}'", path.string()));
  }
  return DatabaseGuard(std::move(fd), false);
}

Result<void> DatabaseGuard::share() {
  if (alone_ && lock(fd_.get(), LOCK_SH) != 0) return system_error(errno, "cannot share the lock of the state database");
  alone_ = false;
  return {};
}

}  // namespace heimdall
