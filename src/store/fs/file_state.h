#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace heimdall {

// A time as the kernel keeps it: file systems know dates far outside of what a Timestamp can hold.
struct FileTime {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;
  auto operator<=>(const FileTime&) const = default;
};

// nullopt for a date outside of the years 1678 to 2261: it would wrap around and look ancient (invariant 4).
inline std::optional<Timestamp> to_timestamp(const FileTime& time) {
  constexpr std::int64_t kFarthest = 9'200'000'000;
  if (time.seconds > kFarthest || time.seconds < -kFarthest) return std::nullopt;
  return Timestamp(std::chrono::seconds(time.seconds) + std::chrono::nanoseconds(time.nanoseconds));
}

enum class FileKind { regular, directory, symlink, other };

// What the kernel tells of one name.
struct FileState {
  FileKind kind = FileKind::other;
  std::uint64_t inode = 0;
  std::uint64_t size_bytes = 0;
  FileTime modified;
  FileTime changed;
  std::uint64_t device = 0;
  std::uint64_t mount_id = 0;  // 0 where the kernel does not tell
};

// What dates an object of a directory tree.
enum class AgeFrom {
  newest_change,  // the later of mtime and ctime: renames, chmod and links make it young as well
  mtime,
};

inline std::optional<Timestamp> age_of(const FileState& state, AgeFrom age) {
  const bool by_change = age == AgeFrom::newest_change && state.changed > state.modified;
  return to_timestamp(by_change ? state.changed : state.modified);
}

// The ETag of a file, built in place: "inode-mtime-ctime" in hexadecimal, times as seconds.nanoseconds; without ctime for AgeFrom::mtime.
// A rewrite changes the times, a rename over it the inode, so both show even if the bytes are the same.
class FileTag {
 public:
  FileTag(const FileState& state, AgeFrom age) {
    number(state.inode);
    *end_++ = '-';
    time(state.modified);
    if (age == AgeFrom::mtime) return;
    *end_++ = '-';
    time(state.changed);
  }
  FileTag(const FileTag&) = delete;
  FileTag& operator=(const FileTag&) = delete;
  std::string_view text() const { return {text_, static_cast<std::size_t>(end_ - text_)}; }

 private:
  void number(std::uint64_t n) { end_ = std::to_chars(end_, text_ + sizeof text_, n, 16).ptr; }
  void time(const FileTime& t) {
    number(static_cast<std::uint64_t>(t.seconds));
    *end_++ = '.';
    number(t.nanoseconds);
  }

  char text_[96];
  char* end_ = text_;
};

// Whether a tag with or without its ctime part names this inode and mtime. A move into the trash and back changes
// the ctime, so only these can be compared across it.
inline bool same_file(std::string_view tag, const FileState& state) {
  const FileTag now(state, AgeFrom::mtime);
  return tag.starts_with(now.text()) && (tag.size() == now.text().size() || tag[now.text().size()] == '-');
}

}  // namespace heimdall
