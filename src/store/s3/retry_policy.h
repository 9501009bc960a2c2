#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>

#include "base/error.h"

namespace heimdall {

// When a request that failed in a transient way is sent again: exponential backoff with full jitter, bounded per request by attempts
// and for the client as a whole by a budget of tokens, so that a store in trouble is not buried in repeats. A request that never got through in
// all its attempts says that the store is gone: the budget is spent then, until something succeeds. Thread-safe.
class RetryPolicy {
 public:
  struct Options {
    int max_attempts = 8;
    int first_contact_attempts = 4;  // as long as nothing has succeeded yet: a wrong address is told soon
    std::chrono::milliseconds first_delay{100};
    std::chrono::milliseconds max_delay = std::chrono::seconds(10);
    double budget = 200;             // tokens at first, and at most
    double earned_per_success = 1;   // each repeat costs one
    std::uint64_t seed = 0;          // of the jitter; 0: random
  };
  RetryPolicy();
  explicit RetryPolicy(Options options);

  // throttled and unavailable may be tried again; in_doubt only where the request changes nothing.
  enum class Effect { none, mutates };
  // How long to wait before attempt number `attempt` + 1 (the first is 1); nullopt: give up. Never shorter
  // than error.retry_after; one of more than 6 * max_delay is given up, so that the caller can say so instead of seeming to hang.
  std::optional<std::chrono::milliseconds> next(const Error& error, int attempt, Effect effect);
  void succeeded();

 private:
  Options options_;
  std::mutex mutex_;
  double tokens_;
  bool has_succeeded_ = false;
  std::uint64_t random_;
};

}  // namespace heimdall
