#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "ports/object_store.h"

namespace heimdall::testing {

// A bucket that the suite owns: empty at first, gone when destroyed.
class BucketUnderTest {
 public:
  virtual ~BucketUnderTest() = default;
  virtual ObjectStore& store() = 0;
  // Creates or rewrites an object as another client would. false: this store cannot take such a key.
  virtual bool put(const std::string& key, const std::string& content) = 0;
  virtual void erase(const std::string& key) = 0;
};

struct StoreUnderTest {
  std::string name;
  std::function<std::unique_ptr<BucketUnderTest>()> make_bucket;
};
inline void PrintTo(const StoreUnderTest& store, std::ostream* out) { *out << store.name; }

// What every ObjectStore promises (ports/object_store.h). Instantiate it for each adapter:
//   INSTANTIATE_TEST_SUITE_P(Fake, ObjectStoreContract, ::testing::Values(StoreUnderTest{...}), name_of_store);
class ObjectStoreContract : public ::testing::TestWithParam<StoreUnderTest> {
 protected:
  ObjectStoreContract() : bucket_(GetParam().make_bucket()) {}

  ObjectStore& store() { return bucket_->store(); }
  void put(const std::string& key, const std::string& content = "x") { ASSERT_TRUE(bucket_->put(key, content)) << key; }
  ObjectMeta put_and_head(const std::string& key, const std::string& content = "x");
  std::vector<ObjectMeta> list(const ListRange& range = {});
  std::vector<std::string> keys(const ListRange& range = {});
  RemoveOutcome::Kind remove_one(const ObjectMeta& object);

  std::unique_ptr<BucketUnderTest> bucket_;
};

inline std::string name_of_store(const ::testing::TestParamInfo<StoreUnderTest>& info) { return info.param.name; }

// The whole range, page by page. Records a failure if the listing errs or is not in strict order.
std::vector<ObjectMeta> list_all(ObjectReader& store, const ListRange& range);

}  // namespace heimdall::testing
