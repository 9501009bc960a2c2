#pragma once

#include <array>
#include <atomic>
#include <chrono>
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
  // A list came; its answer is with the kernel.
  void enter() {
    std::int64_t never = 0;
    first_list_ns_.compare_exchange_strong(never, now_ns());
    const std::uint64_t now = in_flight_.fetch_add(1) + 1;
    std::uint64_t most = most_in_flight_.load();
    while (now > most && !most_in_flight_.compare_exchange_weak(most, now)) {
    }
  }
  void leave() {
    in_flight_.fetch_sub(1);
    last_list_ns_ = now_ns();
  }

  void reset() {
    for (auto& n : requests_) n = 0;
    keys_ = deleted_ = 0;
    first_list_ns_ = last_list_ns_ = 0;
    most_in_flight_ = in_flight_.load();
  }

  std::string to_json() const {
    static constexpr std::array<std::string_view, kKinds> names = {"list", "head_bucket", "head_object", "list_buckets", "multi_delete",
                                                                   "single_delete", "put", "other", "slowed_down"};
    std::string requests;
    for (std::size_t i = 0; i < kKinds; ++i) requests += format("{}\"{}\":{}", i == 0 ? "" : ",", names[i], requests_[i].load());
    return format(R"({{"requests":{{{}}},"keys_served":{},"keys_deleted":{},"in_flight":{},"most_in_flight":{},"list_seconds":{:.4f}}})", requests, keys_.load(),
                  deleted_.load(), in_flight_.load(), most_in_flight_.load(), static_cast<double>(last_list_ns_ - first_list_ns_) / 1e9);
  }

 private:
  static constexpr std::size_t kKinds = 9;
  static std::int64_t now_ns() { return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

  std::array<std::atomic<std::uint64_t>, kKinds> requests_{};
  std::atomic<std::uint64_t> keys_{0}, deleted_{0};
  std::atomic<std::uint64_t> in_flight_{0}, most_in_flight_{0};          // of lists
  std::atomic<std::int64_t> first_list_ns_{0}, last_list_ns_{0};  // begin of the first, end of the last
};

}  // namespace heimdall::loopback
