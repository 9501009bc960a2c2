#include "store/fs/tree.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

constexpr unsigned kMask = STATX_TYPE | STATX_SIZE | STATX_INO | STATX_MTIME | STATX_CTIME | STATX_MNT_ID;

FileKind kind_of(unsigned mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return FileKind::regular;
    case S_IFDIR: return FileKind::directory;
    case S_IFLNK: return FileKind::symlink;
    default: return FileKind::other;
  }
}

// 0 or errno. Never follows a link, never triggers an automount.
int state_of(int directory, const char* name, int flags, FileState& state) {
  struct statx st;
  while (statx(directory, name, flags | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, kMask, &st) != 0) {
    if (errno != EINTR) return errno;
  }
  state.kind = kind_of(st.stx_mode);
  state.inode = st.stx_ino;
  state.size_bytes = st.stx_size;
  state.modified = {st.stx_mtime.tv_sec, st.stx_mtime.tv_nsec};
  state.changed = {st.stx_ctime.tv_sec, st.stx_ctime.tv_nsec};
  state.device = makedev(st.stx_dev_major, st.stx_dev_minor);
  state.mount_id = (st.stx_mask & STATX_MNT_ID) != 0 ? st.stx_mnt_id : 0;
  return 0;
}

int flags_for(DirectoryUse use) {
  return O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | (use == DirectoryUse::lookup ? O_PATH : O_RDONLY);
}

int open_retried(int directory, const char* name, int flags) {
  for (;;) {
    const int fd = openat(directory, name, flags);
    if (fd >= 0 || errno != EINTR) return fd;
  }
}

// No name of this file system can be that long, so nothing is there.
bool means_absent(int errno_value) { return errno_value == ENOENT || errno_value == ENAMETOOLONG; }

}  // namespace

KeyParts split_key(std::string_view key) {
  const std::size_t slash = key.rfind('/');
  if (slash == std::string_view::npos) return {"", key};
  return {key.substr(0, slash + 1), key.substr(slash + 1)};
}

bool is_path_key(std::string_view key) {
  if (key.find('\0') != std::string_view::npos) return false;
  for (std::size_t from = 0;;) {
    const std::size_t slash = key.find('/', from);
    const std::string_view part = key.substr(from, slash == std::string_view::npos ? slash : slash - from);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    from = slash + 1;
  }
}

Result<Tree> Tree::open(std::filesystem::path root) {
  const std::string shown = root.string();
  UniqueFd fd(open_retried(AT_FDCWD, root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    const int error = errno;
    if (error == ENOENT) {
      return Error{ErrorCode::not_found, format("the directory '{}' does not exist", printable(shown)),
                   "check the store's path, and whether its file system is mounted"};
    }
    if (error == ENOTDIR) {
      return Error{ErrorCode::invalid_argument, format("'{}' is not a directory", printable(shown)),
                   "give the directory that holds the objects as the store's path"};
    }
    return system_error(error, format("cannot open the directory '{}'", printable(shown)));
  }
  FileState state;
  if (const int error = state_of(fd.get(), "", AT_EMPTY_PATH, state); error != 0) {
    return system_error(error, format("cannot stat the directory '{}'", printable(shown)));
  }
  // Absolute, so that a later change of the working directory does not look like a replaced root.
  const std::unique_ptr<char, decltype(&std::free)> resolved(realpath(root.c_str(), nullptr), &std::free);
  if (!resolved) return system_error(errno, format("cannot resolve the directory '{}'", printable(shown)));
  Tree tree(std::move(fd), resolved.get(), state);
  TRY(tree.confirm_root());
  return tree;
}

Error Tree::failed(int errno_value, std::string_view action, std::string_view shown) const {
  return system_error(errno_value, format("cannot {} '{}' below '{}'", action, printable(shown), printable(path_)));
}

Result<void> Tree::confirm_root() const {
  FileState now;
  const int error = state_of(AT_FDCWD, path_.c_str(), 0, now);
  if (error == 0 && now.inode == state_.inode && now.device == state_.device && now.mount_id == state_.mount_id) return {};
  const std::string why = error == 0 ? "another directory is there now" : system_error(error, "its path leads nowhere").message;
  return Error{ErrorCode::failed_precondition, format("the directory '{}' is not the one that was opened: {}", printable(path_), why),
               "check whether its file system was unmounted or mounted over, then run the command again"};
}

// On overlay file systems a file's device is not its directory's, so the mount decides where the kernel tells it. A directory on
// another device is another volume (a btrfs sub-volume) even within one mount: nothing can be renamed across.
bool Tree::inside(const FileState& state) const {
  if (state.kind == FileKind::directory || state_.mount_id == 0) {
    if (state.device != state_.device) return false;
  }
  return state.mount_id == state_.mount_id;
}

Result<Tree::Looked> Tree::look(int directory, const char* name, std::string_view shown) const {
  Looked looked;
  const int error = state_of(directory, name, 0, looked.state);
  if (means_absent(error)) return looked;
  if (error != 0) return failed(error, "stat", shown);
  looked.presence = inside(looked.state) ? Presence::here : Presence::outside;
  return looked;
}

Result<OpenedDirectory> Tree::admit(UniqueFd fd, std::string_view shown) const {
  FileState state;
  if (const int error = state_of(fd.get(), "", AT_EMPTY_PATH, state); error != 0) return failed(error, "stat", shown);
  if (!inside(state)) return OpenedDirectory{Presence::outside, {}};
  return OpenedDirectory{Presence::here, std::move(fd)};
}

Result<OpenedDirectory> Tree::open_child(int parent, const char* name, DirectoryUse use, std::string_view shown) const {
  UniqueFd fd(open_retried(parent, name, flags_for(use)));
  if (fd) return admit(std::move(fd), shown);
  const int error = errno;
  if (means_absent(error)) return OpenedDirectory{};
  if (error != ENOTDIR && error != ELOOP) return failed(error, "open the directory", shown);
  // Not a directory: a link leads outside of the tree, anything else simply has nothing below it.
  TRY_ASSIGN(const Looked looked, look(parent, name, shown));
  const bool link = looked.presence == Presence::here && looked.state.kind == FileKind::symlink;
  return OpenedDirectory{link ? Presence::outside : Presence::absent, {}};
}

// Component by component: for kernels without openat2, for paths longer than PATH_MAX, and to learn what is in the way.
Result<OpenedDirectory> Tree::walk(std::string_view directory, DirectoryUse use) const {
  UniqueFd held;
  int parent = root_.get();
  for (std::size_t from = 0; from < directory.size();) {
    const std::size_t slash = directory.find('/', from);
    const std::string name(directory.substr(from, slash - from));
    from = slash + 1;
    const bool last = from == directory.size();
    TRY_ASSIGN(OpenedDirectory child,
               open_child(parent, name.c_str(), last ? use : DirectoryUse::lookup, directory.substr(0, from)));
    if (child.presence != Presence::here) return child;
    held = std::move(child.fd);
    parent = held.get();
  }
  return OpenedDirectory{Presence::here, std::move(held)};
}

Result<OpenedDirectory> Tree::open_directory(std::string_view directory, DirectoryUse use) const {
  if (directory.empty()) {
    UniqueFd fd(open_retried(root_.get(), ".", flags_for(use)));
    if (!fd) return failed(errno, "open the directory", ".");
    return OpenedDirectory{Presence::here, std::move(fd)};
  }
  if (!is_path_key(directory.substr(0, directory.size() - 1))) return OpenedDirectory{};
  const std::string path(directory.substr(0, directory.size() - 1));
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags_for(use));
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  UniqueFd fd(static_cast<int>(syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof how)));
  if (fd) return admit(std::move(fd), directory);
  if (errno == ENOENT) return OpenedDirectory{};
  return walk(directory, use);
}

Result<Tree::Found> Tree::find(std::string_view key) const {
  Found found;
  if (is_path_key(key)) {
    const KeyParts parts = split_key(key);
    TRY_ASSIGN(OpenedDirectory parent, open_directory(parts.directory, DirectoryUse::lookup));
    found.presence = parent.presence;
    if (parent.presence == Presence::here) {
      TRY_ASSIGN(const Looked looked, look(parent.fd.get(), std::string(parts.name).c_str(), key));
      found.presence = looked.presence;
      found.state = looked.state;
      found.directory = std::move(parent.fd);
    }
  }
  if (found.presence == Presence::absent) TRY(confirm_root());
  return found;
}

// "" for the root itself; nullopt for what is not below it.
std::optional<std::string> Tree::key_of(std::string_view path) const {
  if (path == path_) return "";
  const std::string below = path_.ends_with('/') ? path_ : path_ + '/';
  return path.starts_with(below) ? std::optional(std::string(path.substr(below.size()))) : std::nullopt;
}

// The kernel follows it, and says what it came to. Where we may not go others may: then the words of the link decide.
Result<std::optional<std::string>> Tree::place_behind(int directory, const char* name, std::string_view shown) const {
  const UniqueFd fd(open_retried(directory, name, O_PATH | O_CLOEXEC));
  const int error = fd ? 0 : errno;
  if (means_absent(error) || error == ELOOP || error == ENOTDIR) return std::optional<std::string>();
  if (error != 0 && error != EACCES) return failed(error, "follow the link", shown);
  std::array<char, PATH_MAX> text;
  const std::string own = fd ? format("/proc/self/fd/{}", fd.get()) : "";
  const ssize_t size = fd ? readlink(own.c_str(), text.data(), text.size()) : readlinkat(directory, name, text.data(), text.size());
  if (size < 0 && errno == ENOENT && !fd) return std::optional<std::string>();
  if (size < 0) return failed(errno, "tell the end of the link", shown);
  const std::string_view read(text.data(), static_cast<std::size_t>(size));
  if (!fd) {
    const auto said = (std::filesystem::path(path_) / split_key(shown).directory / read).lexically_normal();
    if (!key_of(said.native())) return std::optional<std::string>();
    return failed(error, "follow the link", shown);
  }
  auto key = key_of(read);
  if (!key || key->empty()) return key;
  TRY_ASSIGN(const Found found, find(*key));
  const bool is_directory = found.state.kind == FileKind::directory;
  // Gone since, on another mount, or no place of objects.
  if (found.presence != Presence::here || (!is_directory && found.state.kind != FileKind::regular)) return std::optional<std::string>();
  if (is_directory) *key += '/';
  return key;
}

Result<std::string> Tree::identity() const {
  struct statfs fs {};
  if (fstatfs(root_.get(), &fs) != 0) return failed(errno, "stat the file system of", ".");
  const auto half = [&fs](int i) { return static_cast<unsigned>(fs.f_fsid.__val[i]); };
  if (half(0) != 0 || half(1) != 0) return format("directory:{:08x}{:08x}:{}", half(0), half(1), state_.inode);
  // Network file systems give no id of their own: then the path has to tell mounts apart.
  return format("directory:{:x}:{}:{}", static_cast<std::uint64_t>(fs.f_type), state_.inode, path_);
}

}  // namespace heimdall
