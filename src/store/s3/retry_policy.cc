#include "store/s3/retry_policy.h"

#include <algorithm>

#include "base/ids.h"

namespace heimdall {

namespace {

// Beyond this many times the longest delay it is better to fail, and say when to come again, than to seem to hang.
constexpr int kLongestRetryAfter = 6;

bool may_repeat(const Error& error, RetryPolicy::Effect effect) {
  return error.code == ErrorCode::throttled || error.code == ErrorCode::unavailable ||
         (error.code == ErrorCode::in_doubt && effect == RetryPolicy::Effect::none);
}

// SplitMix64 (https://prng.di.unimi.it/splitmix64.c).
std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15U);
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

// Never overflows: it stops doubling at the longest delay.
std::chrono::milliseconds backoff(const RetryPolicy::Options& options, int attempt) {
  std::chrono::milliseconds delay = std::min(options.first_delay, options.max_delay);
  for (int i = 1; i < attempt && delay < options.max_delay; ++i) delay = delay > options.max_delay / 2 ? options.max_delay : delay * 2;
  return std::max(delay, std::chrono::milliseconds(0));
}

}  // namespace

RetryPolicy::RetryPolicy() : RetryPolicy(Options{}) {}

RetryPolicy::RetryPolicy(Options options)
    : options_(options), tokens_(options.budget), random_(options.seed != 0 ? options.seed : random_u64()) {}

std::optional<std::chrono::milliseconds> RetryPolicy::next(const Error& error, int attempt, Effect effect) {
  if (!may_repeat(error, effect)) return std::nullopt;
  const std::scoped_lock lock(mutex_);
  if (attempt >= (has_succeeded_ ? options_.max_attempts : std::min(options_.first_contact_attempts, options_.max_attempts))) {
    if (error.code != ErrorCode::throttled) tokens_ = 0;  // in_doubt is a reset or a time-out: nothing gets through either
    return std::nullopt;
  }
  const auto asked_for = std::max(error.retry_after.value_or(std::chrono::milliseconds(0)), std::chrono::milliseconds(0));
  if (asked_for > options_.max_delay * kLongestRetryAfter) return std::nullopt;
  if (tokens_ < 1) return std::nullopt;
  tokens_ -= 1;
  const auto longest = static_cast<std::uint64_t>(backoff(options_, attempt).count());
  const auto jitter = static_cast<std::int64_t>(next_random(random_) % (longest + 1));
  // Jitter on top of what the server asked for, too: else all that it turned away come back at one moment.
  return asked_for + std::chrono::milliseconds(jitter);
}

void RetryPolicy::succeeded() {
  const std::scoped_lock lock(mutex_);
  has_succeeded_ = true;
  tokens_ = std::min(options_.budget, tokens_ + options_.earned_per_success);
}

}  // namespace heimdall
