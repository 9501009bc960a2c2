#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "store/fs/directory_store.h"

namespace heimdall::testing {

// A directory for one test: root() is the store's, base() is around it. Readable by everybody, so that tests can be somebody else.
class TestTree {
 public:
  TestTree() {
    // In memory where that exists: the deep trees take seconds on a disk.
    const bool memory = access("/dev/shm", W_OK) == 0;
    const std::filesystem::path place = memory ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string path = (place / "heimdall-store-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) std::abort();
    base_ = std::filesystem::canonical(path);
    std::filesystem::permissions(base_, std::filesystem::perms(0755));
    std::filesystem::create_directory(root());
  }
  TestTree(const TestTree&) = delete;
  TestTree& operator=(const TestTree&) = delete;
  ~TestTree() {
    std::error_code ignored;
    std::filesystem::remove_all(base_, ignored);
  }

  const std::filesystem::path& base() const { return base_; }
  std::filesystem::path root() const { return base_ / "root"; }

  // Another file than before, by its inode.
  void write(const std::filesystem::path& path, std::string_view content = "x") const {
    std::filesystem::create_directories((root() / path).parent_path());
    std::ofstream(base_ / "new", std::ios::binary) << content;
    std::filesystem::rename(base_ / "new", root() / path);
  }
  std::string read(const std::filesystem::path& path) const {
    std::ifstream file(root() / path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  bool has(const std::filesystem::path& path) const { return std::filesystem::exists(std::filesystem::symlink_status(root() / path)); }

  std::unique_ptr<ObjectStore> store(AgeFrom age = AgeFrom::newest_change) {
    return open_directory_store({root(), age, is_kept}, clock_).value();
  }
  const Clock& clock() const { return clock_; }

  std::function<bool(std::string_view)> is_kept = {};  // of the next store

 private:
  std::filesystem::path base_;
  SystemClock clock_;
};

// All keys, or the error that ended the listing.
inline Result<std::vector<std::string>> keys_of(ObjectReader& store, const ListRange& range = {}) {
  TRY_ASSIGN(auto listing, store.list(range));
  std::vector<std::string> keys;
  ObjectPage page;
  for (;;) {
    TRY_ASSIGN(const PageStatus status, listing->next(page));
    for (std::size_t i = 0; i < page.size(); ++i) keys.emplace_back(page[i].key);
    if (status == PageStatus::last) return keys;
  }
}

// The links that a listing of the range tells of, in its order.
inline Result<std::vector<TreeLink>> links_of(ObjectReader& store, const ListRange& range = {}) {
  TRY_ASSIGN(auto listing, store.list(range));
  ObjectPage page;
  for (;;) {
    TRY_ASSIGN(const PageStatus status, listing->next(page));
    if (status == PageStatus::last) return std::vector<TreeLink>(listing->links().begin(), listing->links().end());
  }
}

}  // namespace heimdall::testing
