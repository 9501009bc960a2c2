#include "testing/faulty_store.h"

#include <gtest/gtest.h>

#include "object_store_contract.h"
#include "testing/fake_clock.h"
#include "testing/fake_store.h"

namespace heimdall::testing {
namespace {

// Ten objects in pages of four.
class FaultyStoreTest : public ::testing::Test {
 protected:
  FaultyStoreTest() {
    for (char c = '0'; c <= '9'; ++c) inner_.put(std::string(1, c));
    inner_.set_page_size(4);
  }

  // All keys in the order in which they came; '!' where the listing failed.
  std::string listed(StoreFaultPlan plan) {
    FaultyStore store(inner_, plan);
    const auto listing = store.list({}).value();
    std::string keys;
    ObjectPage page;
    for (;;) {
      const auto status = listing->next(page);
      if (!status) return keys + (listing->next(page) ? "?" : "!");
      for (std::size_t i = 0; i < page.size(); ++i) keys += page[i].key;
      if (*status == PageStatus::last) return keys;
    }
  }

  FakeClock clock_;
  FakeStore inner_{clock_};
};

TEST_F(FaultyStoreTest, distorts_one_page) {
  const auto second_page = [](StoreFault fault) { return StoreFaultPlan{fault, 2, StoreCall::next_page}; };
  EXPECT_EQ(listed({}), "0123456789");
  EXPECT_EQ(listed(second_page(StoreFault::error)), "0123!");
  EXPECT_EQ(listed(second_page(StoreFault::short_page)), "0123456789");
  EXPECT_EQ(listed(second_page(StoreFault::duplicate_page)), "01234567456789");
  EXPECT_EQ(listed(second_page(StoreFault::reordered_page)), "0123756489");
}

TEST_F(FaultyStoreTest, a_lost_answer_may_hide_a_deletion) {
  const std::vector first = {inner_.head(ObjectKey("0")).value()};
  FaultyStore without(inner_, {StoreFault::timeout_without_effect, 1, StoreCall::remove});
  EXPECT_EQ(without.remove(first, OpenGate()).error().code, ErrorCode::in_doubt);
  EXPECT_TRUE(inner_.contains("0"));
  FaultyStore after(inner_, {StoreFault::timeout_after_effect, 1, StoreCall::remove});
  EXPECT_EQ(after.remove(first, OpenGate()).error().code, ErrorCode::in_doubt);
  EXPECT_FALSE(inner_.contains("0"));
  EXPECT_EQ(after.settle(first[0]).kind, RemoveOutcome::Kind::deleted);
}

TEST_F(FaultyStoreTest, fails_what_is_only_asked_for_figures_and_looks) {
  inner_.set_capacity(StoreCapacity{3, 2, 1});
  EXPECT_EQ(FaultyStore(inner_, {}).capacity().value(), (StoreCapacity{3, 2, 1}));
  EXPECT_TRUE(FaultyStore(inner_, {}).ping({}));
  EXPECT_FALSE(FaultyStore(inner_, {StoreFault::error, 1, StoreCall::capacity}).capacity());
  EXPECT_FALSE(FaultyStore(inner_, {StoreFault::error, 1, StoreCall::ping}).ping({}));
}

TEST_F(FaultyStoreTest, counts_calls_so_that_a_loop_ends) {
  std::uint64_t n = 1;
  for (;; ++n) {
    FaultyStore store(inner_, {StoreFault::error, n});
    const bool clean = store.identity() && store.head(ObjectKey("1")) && store.hold();
    EXPECT_EQ(clean, !store.reached());
    if (!store.reached()) break;
  }
  EXPECT_EQ(n, 4U);
}

}  // namespace
}  // namespace heimdall::testing
