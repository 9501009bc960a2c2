#include "object_store_contract.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/clock.h"
#include "store/fs/directory_store.h"

namespace heimdall::testing {
namespace {

namespace fs = std::filesystem;

class DirectoryBucket final : public BucketUnderTest {
 public:
  explicit DirectoryBucket(AgeFrom age) {
    std::string path = (fs::temp_directory_path() / "heimdall-contract-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) std::abort();
    base_ = path;
    fs::create_directory(base_ / "root");
    store_ = open_directory_store({base_ / "root", age}, clock_).value();
  }
  ~DirectoryBucket() override {
    std::error_code ignored;
    fs::remove_all(base_, ignored);
  }

  ObjectStore& store() override { return *store_; }

  // Written beside the tree and renamed into it, so that a rewrite is another file whatever the clock's grain.
  bool put(const std::string& key, const std::string& content) override {
    const fs::path path = base_ / "root" / key;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) return false;
    std::ofstream(base_ / "new", std::ios::binary) << content;
    return std::rename((base_ / "new").c_str(), path.c_str()) == 0;
  }
  void erase(const std::string& key) override { fs::remove(base_ / "root" / key); }

 private:
  SystemClock clock_;
  fs::path base_;
  std::unique_ptr<ObjectStore> store_;
};

StoreUnderTest directory(std::string name, AgeFrom age) {
  return {std::move(name), [age]() -> std::unique_ptr<BucketUnderTest> { return std::make_unique<DirectoryBucket>(age); }};
}

INSTANTIATE_TEST_SUITE_P(Directory, ObjectStoreContract,
                         ::testing::Values(directory("newest_change", AgeFrom::newest_change), directory("mtime", AgeFrom::mtime)),
                         name_of_store);

}  // namespace
}  // namespace heimdall::testing
