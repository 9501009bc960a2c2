// Invariant 2: a bucket that is listed in ranges, by workers that steal from each other, has the keys that the server's own tokens lead to.

#include <gmock/gmock.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "base/text.h"
#include "pipeline/listing/range_pool.h"
#include "s3_bucket.h"

namespace heimdall::testing {
namespace {

using Keys = std::set<std::string>;

void put_all(S3Bucket& bucket, const Keys& keys) {
  const OpenGate gate;
  std::deque<S3Session::Pending> under_way;
  const auto finish_one = [&] {
    const auto answer = bucket.session().finish_change(std::move(under_way.front()));
    under_way.pop_front();
    ASSERT_TRUE(answer) << answer.error().message;
  };
  for (const std::string& key : keys) {
    S3Call call{.method = HttpMethod::put, .target = S3Target::object, .key = key, .body = key.ends_with('/') ? "" : "x"};
    call.intent.what = "put";
    under_way.push_back(bucket.session().start_change(std::move(call), gate));
    if (under_way.size() == 16) finish_one();
  }
  while (!under_way.empty()) finish_one();
}

// As scan() does it, with a bucket that is believed to be a thousand times as large, so that it is cut.
std::vector<std::string> list_in_parallel(ObjectReader& store, unsigned workers, const std::vector<std::string>& sample) {
  constexpr std::uint64_t kBelieved = 4'000'000;
  const ListRange whole{"", "", ""};
  auto first = store.split(whole, {workers * 4, sample, kBelieved});
  EXPECT_TRUE(first) << first.error().message;
  EXPECT_TRUE(check_tiling(whole, *first));
  RangePool pool(store, *first, {sample, kBelieved, 1000, workers > 1});
  std::mutex mutex;
  std::vector<ListRange> ranges;
  std::vector<std::string> keys;
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < workers; ++i) {
      threads.emplace_back([&] {
        while (RangePool::Work* const work = pool.take({})) {
          std::vector<std::string> mine;
          const auto listing = store.list(RangePool::range_of(*work)).value();
          ObjectPage page;
          for (bool is_last = false; !is_last;) {
            is_last = listing->next(page).value() == PageStatus::last;
            const RangePool::Share share = pool.advance(*work, page);
            for (std::size_t k = 0; k < share.keys; ++k) mine.emplace_back(page[k].key);
            is_last = is_last || share.is_last;
          }
          const std::scoped_lock lock(mutex);
          ranges.push_back(pool.finish(*work));
          keys.insert(keys.end(), mine.begin(), mine.end());
        }
      });
    }
  }
  std::ranges::sort(ranges, {}, &ListRange::after);
  EXPECT_TRUE(check_tiling(whole, ranges));
  std::ranges::sort(keys);
  return keys;
}

Keys sibling_keys() {  // what makes MinIO end a list early
  Keys keys;
  for (int i = 0; i < 1100; ++i) {
    keys.insert(format("2024-{:04}.jpg", i));
    keys.insert(format("2024.{:04}", i));
  }
  for (int i = 0; i < 50; ++i) keys.insert(format("2024/p{:03}.jpg", i));
  for (int i = 0; i < 50; ++i) keys.insert(format("2025/p{:03}.jpg", i));
  return keys;
}

Keys flat_keys() {
  Keys keys;
  std::mt19937_64 random(11);
  while (keys.size() < 1500) keys.insert(format("{:016x}", random()));
  return keys;
}

Keys giant_keys() {
  Keys keys = {"a/1", "b/2", "z/3", "giant.txt"};
  for (int i = 0; i < 1500; ++i) keys.insert(format("giant/{:05}.bin", i));
  return keys;
}

Keys deep_keys() {
  Keys keys;
  for (int i = 0; i < 1458; ++i) {
    std::string key = "root/";
    for (int n = i, level = 0; level < 6; n /= 3, ++level) key += format("{}/", n % 3);
    keys.insert(key + std::to_string(i));
  }
  return keys;
}

// Consoles write a marker for each folder: it is no folder below itself.
Keys marked_keys() {
  Keys keys = {"data/"};
  for (int folder = 0; folder < 12; ++folder) {
    keys.insert(format("data/{:02}/", folder));
    for (int i = 0; i < 100; ++i) keys.insert(format("data/{:02}/{:03}", folder, i));
  }
  return keys;
}

// So many beside each of several folders that a list which goes on by key has room for them, and for them alone.
Keys nested_sibling_keys() {
  Keys keys;
  for (int i = 0; i < 60; ++i) keys.insert(format("d-{:03}", i));
  for (int i = 0; i < 600; ++i) keys.insert(format("d/e-{:03}", i));
  for (int i = 0; i < 600; ++i) keys.insert(format("d/e/f.{:03}", i));
  for (int i = 0; i < 900; ++i) keys.insert(format("d/e/f/{:03}", i));
  keys.insert("d/e/g.txt");
  keys.insert("d/h.txt");
  keys.insert("e.txt");
  return keys;
}

Keys odd_random_keys() {
  constexpr const char* kPieces[] = {"a", "b", "-", ".x", " y", "/", "0", "+", "%2F", "\u00E4", "\u00E5", "\U0001F600", "~", "*", "&", "d/", "\u7FFF"};
  std::mt19937 random(20261125);
  Keys keys;
  while (keys.size() < 1500) {
    std::string key;
    for (auto n = random() % 6 + 1; n > 0; --n) key += kPieces[random() % std::size(kPieces)];
    keys.insert(std::move(key));
  }
  return keys;
}

struct Shape {
  std::string name;
  Keys (*make)();
};
class S3ParallelListing : public ::testing::TestWithParam<std::tuple<std::string, Shape>> {};

TEST_P(S3ParallelListing, has_the_keys_that_the_tokens_lead_to) {
  const auto& [kind, shape] = GetParam();
  S3Bucket bucket(kind == "minio" ? minio() : versitygw());
  const Keys keys = shape.make();
  if (shape.name == "odd") {
    // The server may refuse some, and take some for others.
    for (const std::string& key : keys) bucket.put(key, "x");
  } else {
    put_all(bucket, keys);
  }
  std::vector<std::string> plain;
  for (const ObjectMeta& object : list_all(bucket.store(), {})) plain.push_back(object.key.bytes());
  if (shape.name == "odd") ASSERT_GT(plain.size(), 500U);
  else ASSERT_TRUE(Keys(plain.begin(), plain.end()) == keys);
  std::vector<std::string> sample;
  for (std::size_t i = 0; i < plain.size(); i += 7) sample.push_back(plain[i]);
  for (const unsigned workers : {1U, 2U, 7U}) {
    EXPECT_TRUE(list_in_parallel(bucket.store(), workers, sample) == plain) << workers << " workers with a sample";
    EXPECT_TRUE(list_in_parallel(bucket.store(), workers, {}) == plain) << workers << " workers without one";
  }
}

INSTANTIATE_TEST_SUITE_P(S3, S3ParallelListing,
                         ::testing::Combine(::testing::Values("minio", "versitygw"),
                                            ::testing::Values(Shape{"siblings", sibling_keys}, Shape{"flat", flat_keys},
                                                              Shape{"giant", giant_keys}, Shape{"deep", deep_keys}, Shape{"marked", marked_keys},
                                                              Shape{"nested_siblings", nested_sibling_keys},
                                                              Shape{"odd", odd_random_keys})),
                         [](const auto& each) { return std::get<0>(each.param) + "_" + std::get<1>(each.param).name; });

}  // namespace
}  // namespace heimdall::testing
