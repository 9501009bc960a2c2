#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <mutex>

namespace heimdall::loopback {

// Which objects are gone: a bit each, from the first deletion on. Thread-safe.
class DeletedSet {
 public:
  explicit DeletedSet(std::uint64_t count) : count_(count) {}

  // False: it was gone already.
  bool add(std::uint64_t i) {
    std::call_once(made_, [this] { words_ = std::make_unique<Word[]>(count_ / 64 + 1); });
    const bool is_new = (words_[i / 64].fetch_or(bit(i)) & bit(i)) == 0;
    if (is_new) size_.fetch_add(1, std::memory_order_release);
    return is_new;
  }
  // Not while others add.
  void clear() {
    for (std::uint64_t word = 0; size() > 0 && word < count_ / 64 + 1; ++word) words_[word] = 0;
    size_ = 0;
  }
  bool contains(std::uint64_t i) const { return size() > 0 && (words_[i / 64].load(std::memory_order_relaxed) & bit(i)) != 0; }
  std::uint64_t size() const { return size_.load(std::memory_order_acquire); }

  // The first number from `i` on that is not in the set; may be behind the last one.
  std::uint64_t next_absent(std::uint64_t i) const {
    while (i < count_ && contains(i)) {
      const std::uint64_t rest = ~words_[i / 64].load(std::memory_order_relaxed) & (~std::uint64_t{0} << (i % 64));
      if (rest != 0) return i / 64 * 64 + static_cast<std::uint64_t>(std::countr_zero(rest));
      i = (i / 64 + 1) * 64;
    }
    return i;
  }

 private:
  using Word = std::atomic<std::uint64_t>;
  static constexpr std::uint64_t bit(std::uint64_t i) { return std::uint64_t{1} << (i % 64); }

  const std::uint64_t count_;
  std::once_flag made_;
  std::unique_ptr<Word[]> words_;
  std::atomic<std::uint64_t> size_{0};
};

}  // namespace heimdall::loopback
