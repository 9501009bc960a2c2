#include "daemon/api/workers.h"

#include <atomic>
#include <chrono>
#include <future>

#include <gtest/gtest.h>

namespace heimdall {
namespace {

constexpr auto kLimit = std::chrono::seconds(20);

// Jobs that hold their thread until release().
struct Held {
  std::promise<void> release_promise;
  std::shared_future<void> released = release_promise.get_future().share();
  std::atomic<int> begun{0};

  Workers::Job job() {
    return [this](std::stop_token) {
      ++begun;
      released.wait_for(kLimit);
    };
  }
  void wait_for(int count) const {
    const auto end = std::chrono::steady_clock::now() + kLimit;
    while (begun < count && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    ASSERT_EQ(begun, count);
  }
};

TEST(WorkersTest, run_what_they_are_given) {
  std::promise<void> done;
  Workers workers(2, 10);
  ASSERT_TRUE(workers.submit([&](std::stop_token) { done.set_value(); }));
  EXPECT_EQ(done.get_future().wait_for(kLimit), std::future_status::ready);
}

TEST(WorkersTest, run_as_many_at_once_as_there_are_threads) {
  Held held;
  Workers workers(3, 10);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(workers.submit(held.job()));
  held.wait_for(3);
  held.release_promise.set_value();
}

TEST(WorkersTest, refuse_what_is_too_much) {
  Held held;
  Workers workers(1, 2);
  ASSERT_TRUE(workers.submit(held.job()));
  held.wait_for(1);
  EXPECT_TRUE(workers.submit(held.job()));
  EXPECT_TRUE(workers.submit(held.job()));
  EXPECT_FALSE(workers.submit(held.job()));
  held.release_promise.set_value();
}

TEST(WorkersTest, end_by_asking_the_jobs_to_end_and_dropping_those_that_wait) {
  std::atomic<bool> asked{false};
  std::atomic<bool> second_ran{false};
  std::promise<void> begun;
  {
    Workers workers(1, 2);
    ASSERT_TRUE(workers.submit([&](const std::stop_token& stop) {
      begun.set_value();
      const auto end = std::chrono::steady_clock::now() + kLimit;
      while (!stop.stop_requested() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
      asked = stop.stop_requested();
    }));
    ASSERT_TRUE(workers.submit([&](std::stop_token) { second_ran = true; }));
    begun.get_future().wait_for(kLimit);
  }
  EXPECT_TRUE(asked);
  EXPECT_FALSE(second_ran);
}

}  // namespace
}  // namespace heimdall
