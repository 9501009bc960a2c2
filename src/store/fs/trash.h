#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "ports/object_store.h"
#include "store/fs/tree.h"

namespace heimdall {

// Whether the file is the one that was planned, as far as a move leaves it: inode, size and mtime, but not ctime.
bool is_file_of(const ObjectMeta& object, const FileState& state);

// The directory .heimdall-trash below the root, where a file is looked at a last time, out of everybody's way, before it is
// unlinked. A file lies in it under the SHA-256 of its key, for microseconds, or until settle() if the process was killed just
// then. Not thread-safe: one at a time for a tree.
class Trash {
 public:
  enum class IfMissing { create, fail };
  // Absent with IfMissing::fail: there is none. Removes the directory when destroyed, if it is empty.
  static Result<Trash> open(const Tree& tree, IfMissing if_missing);
  Trash(Trash&&) noexcept = default;
  Trash& operator=(Trash&&) = delete;
  ~Trash();

  bool exists() const { return static_cast<bool>(fd_); }

  // Deletes one file, if it still is `object` and `gate` is open.
  RemoveOutcome remove(const ObjectMeta& object, AgeFrom age, const SendGate& gate);

  // Puts back what an interrupted remove() of `object` left here. nullopt: nothing was here, look at the key.
  std::optional<RemoveOutcome> settle(const ObjectMeta& object);

 private:
  Trash(const Tree& tree, UniqueFd fd) : tree_(&tree), fd_(std::move(fd)) {}
  RemoveOutcome finish(const ObjectMeta& object, int directory, const char* name, const std::string& entry, const SendGate& gate);
  RemoveOutcome undo(int directory, const char* name, const std::string& entry, RemoveOutcome outcome);
  std::optional<RemoveOutcome> settle_occupied(const ObjectMeta& object, int directory, const char* name, const std::string& entry,
                                               const FileState& trashed);
  std::string where(const std::string& entry) const;

  const Tree* tree_;
  UniqueFd fd_;
};

}  // namespace heimdall
