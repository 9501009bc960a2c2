#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ports/object_store.h"
#include "store/fs/directory_names.h"
#include "store/fs/tree.h"

namespace heimdall {

// Whether a key with the prefix `directory` ("" or ending in '/') can lie in `range`.
bool may_hold(const ListRange& range, std::string_view directory);
bool is_in_range(const ListRange& range, std::string_view key);

// Reads the names below `directory` into `names`, types resolved and sorted. `shown` is its key for errors.
Result<void> read_names(const Tree& tree, int directory, std::string_view shown, std::vector<char>& buffer, DirectoryNames& names);

inline constexpr std::size_t kNamesBuffer = 256 * 1024;

// Whether no object at a place of the tree can be deleted: a key, or all below a directory, which ends in '/' or is empty.
using IsKept = std::function<bool(std::string_view place)>;

// One listing of a tree, depth first with a stack of its own, so that deep trees cost neither stack nor descriptors. Holds the names of
// the directories on the way to its position. `tree` and `is_kept` must outlive it.
//
// A file that vanished since its directory was read is left out; anything else that cannot be read ends the listing with an error, a symbolic link too. One
// that leads to another place of the tree is among links(), unless `is_kept` says that the place loses nothing.
class DirectoryListing final : public Listing {
 public:
  DirectoryListing(const Tree& tree, ListRange range, AgeFrom age, const IsKept& is_kept);

  Result<PageStatus> next(ObjectPage& page) override;
  std::span<const TreeLink> links() const override { return links_; }

 private:
  struct Level {
    UniqueFd fd;
    DirectoryNames names;
    std::size_t position = 0;
    std::size_t path_size = 0;  // of path_, with the '/' at its end
  };

  Result<PageStatus> fill(ObjectPage& page);
  Result<void> start();
  Result<void> enter(UniqueFd fd);
  Result<void> follow_links(const Level& level);
  void leave();
  Result<void> add_file(const Level& level, const char* name, ObjectPage& page);
  Result<void> descend(Level& level, const char* name);
  Result<bool> reopen(Level& level);

  const Tree& tree_;
  const ListRange range_;
  const AgeFrom age_;
  const IsKept& is_kept_;
  std::vector<TreeLink> links_;
  std::vector<char> buffer_;
  std::vector<Level> levels_;  // never shrinks: the levels' memory is used again
  std::size_t depth_ = 0;
  std::string path_;  // key prefix of the innermost level, then the key at hand
  bool started_ = false;
  std::optional<Error> failure_;
};

}  // namespace heimdall
