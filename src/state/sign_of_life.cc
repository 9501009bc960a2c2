#include "state/sign_of_life.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/format.h"
#include "io/file.h"

namespace heimdall {

namespace {

namespace fs = std::filesystem;

// Locks of open file descriptions (fcntl(2)), as a look at one (F_OFD_GETLK) takes nothing: processes that look at the same time do not
// see each other, and one that begins is in nobody's way. A file system that can hold state.db has them: SQLite needs the like.
int control(int fd, int command, struct flock& lock) {
  int result = 0;
  do {
    result = fcntl(fd, command, &lock);
  } while (result != 0 && errno == EINTR);
  return result;
}

struct flock whole_file(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

bool set_lock(int fd, short type, int command) {
  struct flock lock = whole_file(type);
  return control(fd, command, lock) == 0;
}

bool is_still_at(int fd, const fs::path& path) {
  struct stat ours {};
  struct stat there {};
  return fstat(fd, &ours) == 0 && stat(path.c_str(), &there) == 0 && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

// With the lock alone nobody shows this sign, and who is about to waits for us, and then looks whether its file is still there.
void remove_alone(int fd, const fs::path& path) {
  if (set_lock(fd, F_WRLCK, F_OFD_SETLK) && is_still_at(fd, path)) unlink(path.c_str());
}

fs::path sign_of(const ProcessMark& mark, const fs::path& directory) { return directory / format("{}{}", file_name_of(mark), SignOfLife::kSuffix); }

}  // namespace

SignOfLife::SignOfLife(fs::path path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)), owner_(getpid()) {}

Result<SignOfLife> SignOfLife::show(const fs::path& directory, const ProcessMark& mark) {
  fs::path path = sign_of(mark, directory);
  for (;;) {
    TRY_ASSIGN(UniqueFd fd, open_file(path, O_RDWR | O_CREAT, "sign of life"));
    // Who works in this directory under another user (root, say) must be able to look, whatever the umask. The directory keeps strangers out.
    (void)fchmod(fd.get(), 0644);
    if (!set_lock(fd.get(), F_RDLCK, F_OFD_SETLKW)) return system_error(errno, format("cannot lock '{}'", path.string()));
    if (is_still_at(fd.get(), path)) return SignOfLife(std::move(path), std::move(fd));
  }
}

SignOfLife::~SignOfLife() {
  // A forked child has the lock in common with its parent, whose sign stays.
  if (fd_ && getpid() == owner_) remove_alone(fd_.get(), path_);
}

bool is_running(const ProcessMark& mark, const fs::path& directory) {
  int fd = -1;
  do {
    fd = ::open(sign_of(mark, directory).c_str(), O_RDONLY | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return errno != ENOENT || seems_running(mark);
  const UniqueFd sign(fd);
  struct flock lock = whole_file(F_WRLCK);
  if (control(sign.get(), F_OFD_GETLK, lock) != 0) return true;
  if (lock.l_type == F_WRLCK) return seems_running(mark);  // somebody is just removing it
  return lock.l_type != F_UNLCK;
}

void remove_if_ended(const fs::path& sign) {
  if (const auto fd = open_file(sign, O_RDWR, "sign of life")) remove_alone(fd->get(), sign);
}

}  // namespace heimdall
