#include "pipeline/sweep/delete_pace.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <queue>
#include <random>

namespace heimdall {
namespace {

using namespace std::chrono_literals;

BucketPolicy automatic() { return {}; }
BucketPolicy fixed(unsigned workers) {
  BucketPolicy policy;
  policy.delete_workers = workers;
  return policy;
}

// What a store brings per second, by batches at once and objects in each.
using Surface = std::function<double(unsigned, std::size_t)>;

// Runs a sweep of so many objects against a store, batch by batch. Seconds that it took.
double run(DeletePace& pace, const Surface& store, std::uint64_t objects, unsigned seed) {
  std::mt19937 random(seed);
  struct Batch {
    double ends;
    std::size_t objects;
    bool operator<(const Batch& other) const { return ends > other.ends; }
  };
  std::priority_queue<Batch> under_way;
  double now = 0;
  while (objects > 0 || !under_way.empty()) {
    while (objects > 0 && under_way.size() < pace.workers()) {
      const auto size = std::min<std::uint64_t>(objects, pace.batch_size());
      const auto at_once = static_cast<unsigned>(under_way.size() + 1);
      const double noise = std::exp(std::normal_distribution<double>(0, 0.05)(random));
      under_way.push({now + noise * static_cast<double>(size * at_once) / store(at_once, size), size});
      objects -= size;
    }
    const Batch ended = under_way.top();
    under_way.pop();
    now = ended.ends;
    pace.batch_ended({ended.objects, false, static_cast<unsigned>(under_way.size()), {}},
                     BootTime{std::chrono::nanoseconds(static_cast<std::int64_t>(now * 1e9))});
  }
  return now;
}

double minio(unsigned workers, std::size_t size) {
  constexpr double kRate[] = {0, 2900, 4200, 3450, 2700, 2620, 2550, 2470, 2400};
  return kRate[workers] * (size >= 1000 ? 1.0 : size >= 500 ? 0.95 : size >= 250 ? 0.8 : 0.6);
}

TEST(DeletePaceTest, begins_with_two_at_once_and_the_largest_batches) {
  DeletePace pace(automatic(), 1000, {}, BootTime{});
  EXPECT_EQ(pace.workers(), 2U);
  EXPECT_EQ(pace.batch_size(), 1000U);
  EXPECT_EQ(DeletePace(automatic(), 7, {}, BootTime{}).batch_size(), 7U);
}

TEST(DeletePaceTest, a_fixed_number_stays) {
  for (const unsigned workers : {1U, 3U, 8U}) {
    DeletePace pace(fixed(workers), 1000, {}, BootTime{});
    run(pace, minio, 200'000, 1);
    EXPECT_EQ(pace.workers(), workers);
  }
}

TEST(DeletePaceTest, is_nearly_as_fast_as_the_best_fixed_number) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    DeletePace best(fixed(2), 1000, {}, BootTime{});
    const double at_best = run(best, minio, 1'000'000, seed);
    DeletePace pace(automatic(), 1000, {}, BootTime{});
    EXPECT_LE(run(pace, minio, 1'000'000, seed), 1.1 * at_best) << "seed " << seed;
  }
}

// AWS and its kin are bound by latency: they take as many as they are given.
TEST(DeletePaceTest, goes_up_where_more_at_once_bring_more) {
  const Surface distant = [](unsigned workers, std::size_t size) { return workers * static_cast<double>(size) / 0.3; };
  DeletePace pace(automatic(), 1000, {}, BootTime{});
  run(pace, distant, 300'000, 1);
  EXPECT_EQ(pace.best_workers(), 8U);
}

TEST(DeletePaceTest, finds_that_smaller_batches_are_better) {
  const Surface slow_with_many = [](unsigned workers, std::size_t size) { return minio(workers, 1000) * (size > 250 ? 0.5 : 1.0); };
  DeletePace pace(automatic(), 1000, {}, BootTime{});
  run(pace, slow_with_many, 500'000, 1);
  EXPECT_LE(pace.batch_size(), 250U);
}

TEST(DeletePaceTest, steps_back_at_once_when_pushed_back) {
  DeletePace pace(fixed(1), 1000, {}, BootTime{});
  pace.batch_ended({1000, false, 0, {.push_backs = 1}}, BootTime{10ms});
  EXPECT_EQ(pace.batch_size(), 250U) << "there is no smaller number";
  DeletePace two(automatic(), 1000, {}, BootTime{});
  two.batch_ended({1000, true, 1, {}}, BootTime{10ms});
  EXPECT_EQ(two.workers(), 1U);
  EXPECT_EQ(two.batch_size(), 1000U);
}

// What eight batches say of one moment is one push-back.
TEST(DeletePaceTest, steps_back_once_for_all_batches_that_were_under_way) {
  DeletePace pace(automatic(), 1000, {}, BootTime{});
  pace.batch_ended({1000, false, 1, {.push_backs = 1}}, BootTime{10ms});
  ASSERT_EQ(pace.workers(), 1U);
  pace.batch_ended({1000, false, 0, {.push_backs = 2}}, BootTime{20ms});
  EXPECT_EQ(pace.batch_size(), 1000U);
  EXPECT_FALSE(pace.wants_pause());
}

TEST(DeletePaceTest, what_the_store_said_before_the_sweep_does_not_count) {
  DeletePace pace(automatic(), 1000, {.push_backs = 7}, BootTime{});
  pace.batch_ended({1000, false, 1, {.push_backs = 7}}, BootTime{10ms});
  EXPECT_EQ(pace.workers(), 2U);
}

TEST(DeletePaceTest, stands_back_when_the_store_is_slower_than_its_target) {
  BucketPolicy policy;
  policy.latency_target = 250ms;
  DeletePace pace(policy, 1000, {}, BootTime{});
  BootTime now;
  for (int i = 0; i < 10; ++i) pace.batch_ended({1000, false, 0, {.latency = 900ms}}, now = now + 300ms);
  EXPECT_EQ(pace.workers(), 1U);
  EXPECT_TRUE(pace.wants_pause());
  for (int i = 0; i < 10; ++i) pace.batch_ended({1000, false, 0, {.latency = 20ms}}, now = now + 300ms);
  EXPECT_FALSE(pace.wants_pause());
}

TEST(DeletePaceTest, a_wait_for_something_else_is_not_held_against_the_level) {
  DeletePace pace(automatic(), 1000, {}, BootTime{});
  pace.batch_ended({1000, false, 1, {}}, BootTime{100ms});
  pace.forget_window(BootTime{1h});
  for (int i = 1; i <= 4; ++i) pace.batch_ended({1000, false, 1, {}}, BootTime{1h} + i * 250ms);
  EXPECT_EQ(pace.workers(), 4U) << "one window at two is known, so four are tried";
}

}  // namespace
}  // namespace heimdall
