#include "store/s3/retry_policy.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using Effect = RetryPolicy::Effect;

const Error kUnavailable = {.code = ErrorCode::unavailable, .message = "503"};

Error after(std::chrono::milliseconds delay) {
  return {.code = ErrorCode::throttled, .message = "SlowDown", .hint = "", .retry_after = delay};
}

TEST(RetryPolicyTest, repeats_what_passes_and_nothing_else) {
  const std::set<ErrorCode> transient = {ErrorCode::throttled, ErrorCode::unavailable};
  for (int i = 0; i <= static_cast<int>(ErrorCode::internal); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    RetryPolicy policy({.seed = 1});
    EXPECT_EQ(policy.next({.code = code, .message = ""}, 1, Effect::mutates).has_value(), transient.contains(code)) << to_string(code);
    EXPECT_EQ(policy.next({.code = code, .message = ""}, 1, Effect::none).has_value(),
              transient.contains(code) || code == ErrorCode::in_doubt)
        << to_string(code);
  }
}

TEST(RetryPolicyTest, gives_up_after_the_last_attempt) {
  RetryPolicy policy({.max_attempts = 3, .seed = 1});
  EXPECT_TRUE(policy.next(kUnavailable, 1, Effect::none));
  EXPECT_TRUE(policy.next(kUnavailable, 2, Effect::none));
  EXPECT_FALSE(policy.next(kUnavailable, 3, Effect::none));
  EXPECT_FALSE(policy.next(kUnavailable, 4, Effect::none));
}

TEST(RetryPolicyTest, delays_double_with_full_jitter_up_to_the_longest) {
  RetryPolicy policy({.max_attempts = 100, .first_contact_attempts = 100, .first_delay = 100ms, .max_delay = 1s, .budget = 1e9, .seed = 20261123});
  const std::vector<std::pair<int, std::chrono::milliseconds>> limits = {
      {1, 100ms}, {2, 200ms}, {3, 400ms}, {4, 800ms}, {5, 1000ms}, {6, 1000ms}, {99, 1000ms}};
  for (const auto& [attempt, limit] : limits) {
    auto least = 1h + 0ms, most = 0ms;
    for (int i = 0; i < 500; ++i) {
      const auto delay = *policy.next(kUnavailable, attempt, Effect::none);
      least = std::min<std::chrono::milliseconds>(least, delay);
      most = std::max(most, delay);
    }
    EXPECT_LE(most, limit);
    EXPECT_GE(most, limit * 9 / 10);
    EXPECT_LE(least, limit / 10);
  }
}

TEST(RetryPolicyTest, the_same_seed_gives_the_same_delays) {
  const auto delays = [](std::uint64_t seed) {
    RetryPolicy policy({.seed = seed});
    policy.succeeded();
    std::vector<std::chrono::milliseconds> all;
    for (int attempt = 1; attempt < 8; ++attempt) all.push_back(*policy.next(kUnavailable, attempt, Effect::none));
    return all;
  };
  EXPECT_EQ(delays(7), delays(7));
  EXPECT_NE(delays(7), delays(8));
}

TEST(RetryPolicyTest, waits_at_least_as_long_as_the_server_asks) {
  RetryPolicy policy({.first_delay = 100ms, .max_delay = 10s, .seed = 1});
  for (int i = 0; i < 50; ++i) {
    const auto delay = *policy.next(after(3s), 1, Effect::none);
    EXPECT_GE(delay, 3s);
    EXPECT_LE(delay, 3100ms);
  }
  EXPECT_TRUE(policy.next(after(60s), 1, Effect::none));
  EXPECT_FALSE(policy.next(after(61s), 1, Effect::none));
  EXPECT_GE(*policy.next(after(-5s), 1, Effect::none), 0ms);
}

TEST(RetryPolicyTest, the_budget_is_shared_and_earned_by_success) {
  RetryPolicy policy({.budget = 3, .earned_per_success = 0.5, .seed = 1});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(policy.next(kUnavailable, 1, Effect::none));
  EXPECT_FALSE(policy.next(kUnavailable, 1, Effect::none));
  policy.succeeded();
  EXPECT_FALSE(policy.next(kUnavailable, 1, Effect::none));
  policy.succeeded();
  EXPECT_TRUE(policy.next(kUnavailable, 1, Effect::none));
  for (int i = 0; i < 100; ++i) policy.succeeded();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(policy.next(kUnavailable, 1, Effect::none));
  EXPECT_FALSE(policy.next(kUnavailable, 1, Effect::none));
}

TEST(RetryPolicyTest, what_is_not_repeated_costs_nothing) {
  RetryPolicy policy({.max_attempts = 2, .budget = 1, .seed = 1});
  EXPECT_FALSE(policy.next({.code = ErrorCode::not_found, .message = ""}, 1, Effect::none));
  EXPECT_TRUE(policy.next(kUnavailable, 1, Effect::none));
}

// A wrong address is told soon.
TEST(RetryPolicyTest, gives_up_earlier_as_long_as_nothing_ever_succeeded) {
  RetryPolicy policy({.max_attempts = 8, .first_contact_attempts = 2, .seed = 1});
  EXPECT_TRUE(policy.next(kUnavailable, 1, Effect::none));
  EXPECT_FALSE(policy.next(kUnavailable, 2, Effect::none));
  policy.succeeded();
  EXPECT_TRUE(policy.next(kUnavailable, 2, Effect::none));
}

TEST(RetryPolicyTest, a_store_that_is_gone_is_not_asked_again_by_everybody) {
  RetryPolicy policy({.max_attempts = 3, .seed = 1});
  policy.succeeded();
  EXPECT_FALSE(policy.next(kUnavailable, 3, Effect::none));
  EXPECT_FALSE(policy.next(kUnavailable, 1, Effect::none));
  policy.succeeded();
  EXPECT_TRUE(policy.next(kUnavailable, 1, Effect::none));
}

}  // namespace
}  // namespace heimdall
