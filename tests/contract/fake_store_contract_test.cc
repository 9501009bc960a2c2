#include "object_store_contract.h"

#include <atomic>

#include "base/format.h"
#include "testing/fake_clock.h"
#include "testing/fake_store.h"

namespace heimdall::testing {
namespace {

class FakeBucket final : public BucketUnderTest {
 public:
  explicit FakeBucket(std::string identity) : store_(clock_, std::move(identity)) { store_.set_page_size(7); }
  ObjectStore& store() override { return store_; }
  bool put(const std::string& key, const std::string& content) override {
    store_.put(key, content.size());
    return true;
  }
  void erase(const std::string& key) override { store_.erase(key); }

 private:
  FakeClock clock_;
  FakeStore store_;
};

std::unique_ptr<BucketUnderTest> make_fake_bucket() {
  static std::atomic<int> number{0};
  return std::make_unique<FakeBucket>(format("fake:{}", ++number));
}

INSTANTIATE_TEST_SUITE_P(Fake, ObjectStoreContract, ::testing::Values(StoreUnderTest{"fake", make_fake_bucket}), name_of_store);

}  // namespace
}  // namespace heimdall::testing
