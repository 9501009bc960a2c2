#include "pipeline/sweep/rate_limit.h"

#include <gtest/gtest.h>

namespace heimdall {
namespace {

using namespace std::chrono_literals;

constexpr BootTime kStart{1h};

TEST(RateLimitTest, without_a_limit_nothing_ever_waits) {
  RateLimit limit(std::nullopt);
  limit.begin(1'000'000, kStart);
  EXPECT_EQ(limit.wait(kStart), 0s);
  EXPECT_EQ(limit.largest_turn(1000), 1000U);
}

TEST(RateLimitTest, a_turn_waits_for_what_the_one_before_took) {
  RateLimit limit(100);
  EXPECT_EQ(limit.wait(kStart), 0s);
  limit.begin(50, kStart);
  EXPECT_EQ(limit.wait(kStart), 500ms);
  EXPECT_EQ(limit.wait(kStart + 200ms), 300ms);
  EXPECT_EQ(limit.wait(kStart + 500ms), 0s);
}

TEST(RateLimitTest, what_was_not_used_is_not_saved_up) {
  RateLimit limit(100);
  limit.begin(100, kStart);
  limit.begin(100, kStart + 1h);
  EXPECT_EQ(limit.wait(kStart + 1h), 1s);
}

TEST(RateLimitTest, no_turn_takes_more_than_a_second_has) {
  EXPECT_EQ(RateLimit(100).largest_turn(1000), 100U);
  EXPECT_EQ(RateLimit(5000).largest_turn(1000), 1000U);
  EXPECT_EQ(RateLimit(1).largest_turn(1000), 1U);
}

}  // namespace
}  // namespace heimdall
