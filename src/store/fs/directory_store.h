#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "ports/object_store.h"
#include "store/fs/file_state.h"

namespace heimdall {

// A tree of files as a bucket. Its objects are the regular files below `root`; a key is the path from there, bytes as they are. Symbolic
// links, what lies behind them or on another mount, sockets, devices and empty directories are no objects.
struct DirectoryOptions {
  std::filesystem::path root;
  AgeFrom age = AgeFrom::newest_change;
  // Whether nothing at a place of the tree (a key, or all below a directory, which ends in '/' or is empty) can be deleted: a link that leads there does no
  // harm. Any other link to a place of the tree is told by the listing (Listing::links()). Empty: none is kept.
  std::function<bool(std::string_view place)> is_kept = {};
};

// not_found if the root is missing (is its file system mounted?), invalid_argument if it is no directory, permission_denied. `clock` is the
// one that dates files, and must outlive the store. If the root's path leads elsewhere later, every absence is failed_precondition.

// For planning: what it returns is no ObjectStore.
Result<std::unique_ptr<ObjectReader>> open_directory_reader(DirectoryOptions options, const Clock& clock);

// For sweep() and recover(). Deleting creates `.heimdall-trash/` in the root for as long as it takes; directories that become empty stay,
// an application may rely on them.
Result<std::unique_ptr<ObjectStore>> open_directory_store(DirectoryOptions options, const Clock& clock);

}  // namespace heimdall
