#include "pipeline/listing/early_listing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/format.h"
#include "pipeline/test_support.h"
#include "testing/faulty_store.h"

namespace heimdall {
namespace {

using testing::due_keys;
using testing::FaultyStore;
using testing::StoreCall;
using testing::StoreFault;
using testing::StoreFaultPlan;
using testing::TestBucket;

// A store whose pages are worth listing early.
class EagerStore final : public FaultyStore {
 public:
  EagerStore(ObjectStore& inner, StoreFaultPlan plan, std::uint64_t early_bytes) : FaultyStore(inner, plan), early_bytes_(early_bytes) {}
  ListingLimits listing_limits() override { return {2, 2, 0, early_bytes_}; }

 private:
  std::uint64_t early_bytes_;
};

class EarlyListingTest : public ::testing::Test {
 protected:
  EarlyListingTest() {
    bucket.policy.grace = std::chrono::milliseconds(0);
    std::vector<std::string> values;
    for (int i = 0; i < 500; ++i) {
      const std::string key = format("k/{:03}", i);
      bucket.put_old(key);
      if (i % 4 != 0) values.push_back(key);
    }
    bucket.add_source(values);
    bucket.store.set_page_size(10);
  }

  // As a run does it: the listing begins before the references are read.
  Result<Findings> scan(ObjectReader& store, unsigned workers) {
    EarlyListing early(store, "");
    TRY_ASSIGN(ReferenceSnapshot references, bucket.snapshot());
    ScanOptions options;
    options.workers = workers;
    options.scratch = bucket.scratch();
    options.ledger = bucket.ledger();
    options.started = bucket.clock.now();
    options.expected_objects = 500;
    return heimdall::scan(store, references, bucket.policy, options, bucket.progress, {}, early.take());
  }

  TestBucket bucket;
};

TEST_F(EarlyListingTest, changes_no_verdict) {
  const auto plain = bucket.scan();
  ASSERT_TRUE(plain);
  for (const std::uint64_t bytes : {1U, 3000U, 1'000'000U}) {
    for (const unsigned workers : {1U, 2U, 7U}) {
      EagerStore store(bucket.store, {}, bytes);
      const auto findings = scan(store, workers);
      ASSERT_TRUE(findings) << findings.error().message;
      EXPECT_EQ(findings->figures, plain->figures);
      EXPECT_EQ(due_keys(*findings), due_keys(*plain));
      EXPECT_TRUE(findings->complete());
    }
  }
}

TEST_F(EarlyListingTest, loses_no_link) {
  const std::vector<TreeLink> links = {{"a", "k/"}, {"k/250-link", "k/"}, {"z", "k/"}};
  for (const TreeLink& link : links) bucket.store.put_link(link.key, link.place);
  for (const std::uint64_t bytes : {1U, 3000U, 1'000'000U}) {
    EagerStore store(bucket.store, {}, bytes);
    const auto findings = scan(store, 2);
    ASSERT_TRUE(findings) << findings.error().message;
    EXPECT_EQ(findings->links, links);
  }
}

// Invariant 11.
TEST_F(EarlyListingTest, stops_at_its_bytes) {
  EagerStore store(bucket.store, {}, 1);
  EarlyListing early(store, "");
  while (store.calls() < 2) std::this_thread::yield();  // list() and one page
  const auto pages = early.take();
  ASSERT_TRUE(pages);
  EXPECT_LE(pages->pages.size(), 1U);
  EXPECT_FALSE(pages->is_last);
}

TEST_F(EarlyListingTest, begins_nothing_where_it_does_not_pay) {
  EarlyListing early(bucket.store, "");
  EXPECT_FALSE(early.take());
}

TEST_F(EarlyListingTest, what_failed_is_not_handed_on) {
  for (const StoreCall verb : {StoreCall::list, StoreCall::next_page}) {
    EagerStore store(bucket.store, {StoreFault::error, 1, verb}, 1'000'000);
    EarlyListing early(store, "");
    while (!store.reached()) std::this_thread::yield();
    EXPECT_FALSE(early.take());
  }
}

// What passes while the references are read does no harm; what does not meets the listing again.
TEST_F(EarlyListingTest, what_failed_early_is_listed_again) {
  const auto all = due_keys(*bucket.scan());
  for (const StoreCall verb : {StoreCall::list, StoreCall::next_page}) {
    for (std::uint64_t call = 1; call < 8; ++call) {
      EagerStore store(bucket.store, {StoreFault::error, call, verb}, 1'000'000);
      const auto findings = scan(store, 1);
      ASSERT_TRUE(findings) << findings.error().message;
      // A fault that came later hit the listing itself.
      for (const std::string& key : all) {
        const bool is_lost = std::ranges::any_of(findings->failures, [&](const RangeFailure& failure) {
          return key > failure.range.after && (failure.range.until.empty() || key <= failure.range.until);
        });
        ASSERT_EQ(due_keys(*findings).contains(key), !is_lost) << key;
      }
    }
  }
}

}  // namespace
}  // namespace heimdall
