#include "pipeline/listing/range_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "base/format.h"
#include "testing/fake_clock.h"
#include "testing/fake_store.h"

namespace heimdall {
namespace {

using testing::FakeClock;
using testing::FakeStore;

std::string name(int n) { return format("k{:04}", n); }

class RangePoolTest : public ::testing::Test {
 protected:
  RangePoolTest() {
    for (int i = 0; i < 1000; ++i) {
      store.put(name(i));
      if (i % 10 == 0) sample.push_back(name(i));
    }
    store.set_page_size(100);
  }

  RangePool pool_of(std::vector<ListRange> ranges, std::uint64_t worthwhile = 0) {
    return RangePool(store, std::move(ranges), {sample, 1000, worthwhile, true});
  }
  static ObjectPage page(int first, int count) {
    ObjectPage result;
    for (int i = first; i < first + count; ++i) result.add({name(i), "etag", "", 1, std::nullopt});
    return result;
  }

  FakeClock clock;
  FakeStore store{clock};
  std::vector<std::string> sample;
  std::stop_source stop;
};

// Invariant 2: what no range covers would be taken for absent.
TEST(Tiling, takes_nothing_but_neighbours_from_end_to_end) {
  const ListRange whole{"p/", "p/a", "p/z"};
  EXPECT_TRUE(check_tiling(whole, std::vector<ListRange>{whole}));
  EXPECT_TRUE(check_tiling(whole, std::vector<ListRange>{{"p/", "p/a", "p/m"}, {"p/", "p/m", "p/z"}}));
  const std::vector<std::vector<ListRange>> wrong = {
      {},
      {{"p/", "p/a", "p/m"}},                             // no end
      {{"p/", "p/b", "p/z"}},                             // no beginning
      {{"p/", "p/a", "p/m"}, {"p/", "p/n", "p/z"}},       // a gap
      {{"p/", "p/a", "p/n"}, {"p/", "p/m", "p/z"}},       // an overlap
      {{"p/", "p/a", ""}, {"p/", "", "p/z"}},             // two without bounds
      {{"p/", "p/a", "p/m"}, {"q/", "p/m", "p/z"}},       // another prefix
      {{"p/", "p/a", "p/m"}, {"p/", "p/m", "p/b"}, {"p/", "p/b", "p/z"}},  // back again
  };
  for (const auto& parts : wrong) EXPECT_FALSE(check_tiling(whole, parts));
}

TEST_F(RangePoolTest, hands_out_the_ranges_in_order) {
  RangePool pool = pool_of({{"", "", "k0400"}, {"", "k0400", ""}}, 10'000);
  EXPECT_EQ(RangePool::range_of(*pool.take(stop.get_token())).until, "k0400");
  EXPECT_EQ(RangePool::range_of(*pool.take(stop.get_token())).after, "k0400");
}

TEST_F(RangePoolTest, a_worker_without_work_takes_the_rest_of_the_largest_range) {
  RangePool pool = pool_of({{"", "", "k0100"}, {"", "k0100", ""}});
  RangePool::Work* const small = pool.take(stop.get_token());
  RangePool::Work* const large = pool.take(stop.get_token());
  pool.advance(*large, page(101, 100));
  RangePool::Work* const taken = pool.take(stop.get_token());
  ASSERT_NE(taken, nullptr);
  const ListRange rest = RangePool::range_of(*taken);
  EXPECT_GT(rest.after, "k0500");
  EXPECT_LT(rest.after, "k0700");
  EXPECT_EQ(rest.until, "");
  EXPECT_EQ(pool.finish(*large).until, rest.after) << "what was taken is not the first one's any more";
  EXPECT_EQ(pool.finish(*small).until, "k0100");
}

TEST_F(RangePoolTest, a_page_beyond_the_new_end_is_trimmed) {
  RangePool pool = pool_of({{"", "", ""}});
  RangePool::Work* const first = pool.take(stop.get_token());
  RangePool::Work* const second = pool.take(stop.get_token());
  const std::string end = RangePool::range_of(*second).after;
  const int last = std::stoi(end.substr(1));
  const RangePool::Share share = pool.advance(*first, page(last - 10, 100));
  EXPECT_EQ(share.keys, 11U) << "the bound belongs to the left";
  EXPECT_TRUE(share.is_last);
  EXPECT_EQ(pool.advance(*first, page(last + 1, 100)).keys, 0U);
}

TEST_F(RangePoolTest, what_was_listed_while_the_range_was_cut_stays_with_its_lister) {
  RangePool pool = pool_of({{"", "", ""}});
  RangePool::Work* const first = pool.take(stop.get_token());
  // The first worker goes past the cut before it is made.
  class Racing final : public ObjectReader {
   public:
    explicit Racing(FakeStore& inner) : inner_(inner) {}
    std::function<void()> before_return;
    Result<std::string> identity() override { return inner_.identity(); }
    Result<Timestamp> server_time() override { return inner_.server_time(); }
    Result<std::vector<ListRange>> split(const ListRange& range, const SplitHints& hints) override {
      auto parts = inner_.split(range, {4, hints.sample, hints.expected_keys});
      before_return();
      return parts;
    }
    Result<std::unique_ptr<Listing>> list(const ListRange& range) override { return inner_.list(range); }
    Result<ObjectMeta> head(const ObjectKey& key) override { return inner_.head(key); }
    std::vector<Result<ObjectMeta>> inspect(std::span<const ObjectKey> keys) override { return inner_.inspect(keys); }

   private:
    FakeStore& inner_;
  };
  pool.finish(*first);
  Racing racing(store);
  RangePool raced(racing, {{"", "", ""}}, {sample, 1000, 0, true});
  RangePool::Work* const running = raced.take(stop.get_token());
  racing.before_return = [&] { EXPECT_FALSE(raced.advance(*running, page(0, 300)).is_last); };
  RangePool::Work* const taken = raced.take(stop.get_token());
  ASSERT_NE(taken, nullptr);
  EXPECT_GE(RangePool::range_of(*taken).after, "k0299");
  EXPECT_EQ(raced.finish(*running).until, RangePool::range_of(*taken).after);
}

TEST_F(RangePoolTest, what_is_not_worthwhile_is_left_to_its_lister) {
  RangePool pool = pool_of({{"", "", ""}}, 600);
  RangePool::Work* const only = pool.take(stop.get_token());
  std::jthread other([&] { EXPECT_EQ(pool.take(stop.get_token()), nullptr); });
  pool.advance(*only, page(0, 100));
  pool.finish(*only);
}

TEST_F(RangePoolTest, a_stop_sends_everybody_home) {
  RangePool pool = pool_of({{"", "", ""}}, 600);
  ASSERT_NE(pool.take(stop.get_token()), nullptr);
  std::jthread other([&] { EXPECT_EQ(pool.take(stop.get_token()), nullptr); });
  stop.request_stop();
}

// Whatever is stolen from whom: together the ranges are the whole, and every key is listed once.
TEST_F(RangePoolTest, ranges_of_many_workers_tile_the_whole) {
  for (const unsigned workers : {1U, 2U, 7U, 64U}) {
    RangePool pool = pool_of({{"", "", ""}});
    std::mutex mutex;
    std::vector<ListRange> ranges;
    std::size_t keys = 0;
    {
      std::vector<std::jthread> threads;
      for (unsigned i = 0; i < workers; ++i) {
        threads.emplace_back([&] {
          while (RangePool::Work* const work = pool.take(stop.get_token())) {
            const auto listing = store.list(RangePool::range_of(*work)).value();
            ObjectPage listed;
            std::size_t mine = 0;
            for (bool is_last = false; !is_last;) {
              is_last = listing->next(listed).value() == PageStatus::last;
              const RangePool::Share share = pool.advance(*work, listed);
              mine += share.keys;
              is_last = is_last || share.is_last;
            }
            const std::scoped_lock lock(mutex);
            ranges.push_back(pool.finish(*work));
            keys += mine;
          }
        });
      }
    }
    std::ranges::sort(ranges, {}, &ListRange::after);
    EXPECT_TRUE(check_tiling({"", "", ""}, ranges));
    EXPECT_EQ(keys, 1000U) << workers;
  }
}

}  // namespace
}  // namespace heimdall
