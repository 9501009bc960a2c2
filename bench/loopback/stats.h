#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/format.h"

namespace heimdall::loopback {

enum class Kind { list, head_bucket, head_object, list_buckets, multi_delete, single_delete, put, other, slowed_down };

// What was asked of the server. Thread-safe.
class Stats {
 public:
  void count(Kind kind) { requests_[static_cast<std::size_t>(kind)].fetch_add(1, std::memory_order_relaxed); }
  void served(std::uint64_t keys) { keys_.fetch_add(keys, std::memory_order_relaxed); }
  void deleted(std::uint64_t keys) { deleted_.fetch_add(keys, std::memory_order_relaxed); }
  void enter() {
    const std::uint64_t now = in_flight_.fetch_add(1) + 1;
    std::uint64_t most = most_in_flight_.load();
    while (now > most && !most_in_flight_.compare_exchange_weak(most, now)) {
    }
  }
  void leave() { in_flight_.fetch_sub(1); }

  void reset() {
    for (auto& n : requests_) n = 0;
    keys_ = deleted_ = 0;
    most_in_flight_ = in_flight_.load();
  }

  std::string to_json() const {
    static constexpr std::array<std::string_view, kKinds> names = {"list", "head_bucket", "head_object", "list_buckets", "multi_delete",
                                                                   "single_delete", "put", "other", "slowed_down"};
    std::string requests;
    for (std::size_t i = 0; i < kKinds; ++i) requests += format("{}\"{}\":{}", i == 0 ? "" : ",", names[i], requests_[i].load());
    return format(R"({{"requests":{{{}}},"keys_served":{},"keys_deleted":{},"in_flight":{},"most_in_flight":{}}})", requests, keys_.load(),
                  deleted_.load(), in_flight_.load(), most_in_flight_.load());
  }

 private:
  static constexpr std::size_t kKinds = 9;
  std::array<std::atomic<std::uint64_t>, kKinds> requests_{};
  std::atomic<std::uint64_t> keys_{0}, deleted_{0};
  std::atomic<std::uint64_t> in_flight_{0}, most_in_flight_{0};  // of lists
};

}  // namespace heimdall::loopback
