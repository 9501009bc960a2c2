#include "store/fs/directory_names.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace heimdall {

namespace {

// What getdents64 fills in: after it the name, NUL-terminated.
struct KernelEntry {
  std::uint64_t inode;
  std::int64_t next;
  std::uint16_t record_size;
  std::uint8_t type;
} __attribute__((packed));
constexpr std::size_t kNameOffset = 19;

std::uint64_t head_of(std::string_view name, bool directory) {
  unsigned char bytes[8] = {};
  std::memcpy(bytes, name.data(), std::min<std::size_t>(name.size(), 8));
  if (directory && name.size() < 8) bytes[name.size()] = '/';
  std::uint64_t head = 0;
  for (const unsigned char byte : bytes) head = head << 8U | byte;
  return head;
}

}  // namespace

int DirectoryNames::read(int fd, std::vector<char>& buffer) {
  arena_.clear();
  entries_.clear();
  links_.clear();
  for (;;) {
    const long count = syscall(SYS_getdents64, fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) return 0;
    for (long at = 0; at < count;) {
      KernelEntry entry;
      std::memcpy(&entry, buffer.data() + at, kNameOffset);
      const std::string_view name(buffer.data() + at + kNameOffset);
      at += entry.record_size;
      if (name == "." || name == "..") continue;
      Type type = Type::unknown;
      if (entry.type == DT_REG) type = Type::file;
      if (entry.type == DT_DIR) type = Type::directory;
      if (entry.type == DT_LNK) add_link(name);
      if (type == Type::unknown && entry.type != DT_UNKNOWN) continue;
      entries_.push_back({0, arena_.size(), static_cast<std::uint32_t>(name.size()), type});
      arena_.append(name).push_back('\0');
    }
  }
}

bool DirectoryNames::before(const Entry& a, const Entry& b) const {
  if (a.head != b.head) return a.head < b.head;
  const char* left = arena_.data() + a.offset;
  const char* right = arena_.data() + b.offset;
  const std::size_t common = std::min(a.size, b.size);
  if (const int order = std::memcmp(left, right, common); order != 0) return order < 0;
  // One is a prefix of the other: what follows is the '/' of a directory, the rest of the name, or the end.
  const auto next = [common](const Entry& e, const char* name) -> int {
    if (e.size > common) return static_cast<unsigned char>(name[common]);
    return e.type == Type::directory ? '/' : -1;
  };
  return next(a, left) < next(b, right);
}

void DirectoryNames::sort() {
  // What all names begin with orders none of them.
  std::string_view common = entries_.empty() ? std::string_view() : name(0);
  for (std::size_t i = 1; i < entries_.size() && !common.empty(); ++i) {
    const std::string_view other = name(i);
    const std::size_t length = std::min(common.size(), other.size());
    const auto [at, unused] = std::mismatch(common.begin(), common.begin() + static_cast<std::ptrdiff_t>(length), other.begin());
    common = common.substr(0, static_cast<std::size_t>(at - common.begin()));
  }
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    entries_[i].head = head_of(name(i).substr(common.size()), entries_[i].type == Type::directory);
  }
  std::sort(entries_.begin(), entries_.end(), [this](const Entry& a, const Entry& b) { return before(a, b); });
  // A directory that changes while it is read may tell a name twice.
  const auto same = [this](const Entry& a, const Entry& b) { return !before(a, b) && !before(b, a); };
  entries_.erase(std::unique(entries_.begin(), entries_.end(), same), entries_.end());
}

void DirectoryNames::swap_out(std::size_t i) {
  entries_[i] = entries_.back();
  entries_.pop_back();
}

}  // namespace heimdall
