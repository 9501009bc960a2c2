#include "io/radix_sort.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace heimdall {

namespace {

constexpr unsigned kDigitBits = 8;
constexpr std::size_t kDigits = std::size_t{1} << kDigitBits;
constexpr std::size_t kBlockBytes = 256 * 1024;  // with its copy it stays in the second-level cache
constexpr std::size_t kSmall = 24;               // from here on comparing is cheaper than counting

std::uint64_t key_of(std::uint64_t number) { return number; }
std::uint64_t key_of(const U64Pair& pair) { return pair.first; }

// The leading bits in which keys between the least and the greatest differ.
class Digit {
 public:
  template <class Record>
  Digit(std::span<const Record> records, unsigned bits) {
    std::uint64_t greatest = 0;
    least_ = ~std::uint64_t{0};
    for (const Record& record : records) {
      least_ = std::min(least_, key_of(record));
      greatest = std::max(greatest, key_of(record));
    }
    const auto width = static_cast<unsigned>(std::bit_width(greatest - least_));
    shift_ = width > bits ? width - bits : 0;
    all_equal_ = width == 0;
  }
  template <class Record>
  std::size_t operator()(const Record& record) const {
    return (key_of(record) - least_) >> shift_;
  }
  bool all_equal() const { return all_equal_; }

 private:
  std::uint64_t least_;
  unsigned shift_;
  bool all_equal_;
};

template <class Record>
void insertion_sort(std::span<Record> records) {
  for (std::size_t i = 1; i < records.size(); ++i) {
    const Record record = records[i];
    std::size_t at = i;
    for (; at > 0 && record < records[at - 1]; --at) records[at] = records[at - 1];
    records[at] = record;
  }
}

template <class Record>
void sort_few(std::span<Record> records) {
  if (records.size() <= kSmall) return insertion_sort(records);
  std::sort(records.begin(), records.end());
}

// Sorts parts of one array; holds the copy of a block. One per thread.
template <class Record>
class Sorter {
 public:
  void sort(std::span<Record> records) {
    if (records.size() <= kSmall) return insertion_sort(records);
    if (records.size() <= kBlock) return sort_block(records);
    for (const auto part : split(records)) sort(part);
  }

  // American flag: cuts the records in place into parts that are in order among each other. No parts if there is nothing left to cut.
  static std::vector<std::span<Record>> split(std::span<Record> records) {
    const Digit digit(std::span<const Record>(records), kDigitBits);
    if (digit.all_equal()) {
      if constexpr (std::is_same_v<Record, U64Pair>) std::sort(records.begin(), records.end());  // by what is no part of the key
      return {};
    }
    std::array<std::size_t, kDigits> heads{};
    for (const Record& record : records) ++heads[digit(record)];
    std::array<std::size_t, kDigits> ends;
    std::size_t sum = 0;
    std::vector<std::span<Record>> parts;
    for (std::size_t d = 0; d < kDigits; ++d) {
      parts.push_back(records.subspan(sum, heads[d]));
      heads[d] = std::exchange(sum, sum + heads[d]);
      ends[d] = sum;
    }
    for (std::size_t d = 0; d < kDigits; ++d) {
      while (heads[d] < ends[d]) {
        Record record = records[heads[d]];
        for (std::size_t to = digit(record); to != d; to = digit(record)) {
          Record& place = records[heads[to]++];
          __builtin_prefetch(&place + kAhead, 1);
          std::swap(record, place);
        }
        records[heads[d]++] = record;
      }
    }
    return parts;
  }

 private:
  static constexpr std::size_t kBlock = kBlockBytes / sizeof(Record);
  static constexpr std::size_t kAhead = 256 / sizeof(Record);

  // Scatters the block into its copy by so long a digit that each value has but two to four records, and sorts these.
  void sort_block(std::span<Record> records) {
    const auto bits = static_cast<unsigned>(std::bit_width(records.size() / 4));
    const Digit digit(std::span<const Record>(records), bits);
    if (digit.all_equal()) return sort_few(records);
    copy_.resize(records.size());
    ends_.assign((std::size_t{1} << bits) + 1, 0);
    for (const Record& record : records) ++ends_[digit(record) + 1];
    for (std::size_t d = 1; d < ends_.size(); ++d) ends_[d] += ends_[d - 1];
    for (const Record& record : records) copy_[ends_[digit(record)]++] = record;
    std::copy(copy_.begin(), copy_.end(), records.begin());
    for (std::size_t d = 0, begin = 0; d + 1 < ends_.size(); ++d) {
      sort_few(records.subspan(begin, ends_[d] - begin));
      begin = ends_[d];
    }
  }

  std::vector<Record> copy_;
  std::vector<std::uint32_t> ends_;
};

template <class Record>
void sort_with(std::span<Record> records, unsigned threads) {
  constexpr std::size_t kWorthThreads = 1 << 20;
  if (threads < 2 || records.size() < kWorthThreads) return Sorter<Record>().sort(records);
  const auto parts = Sorter<Record>::split(records);
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    Sorter<Record> sorter;
    for (std::size_t i = next.fetch_add(1); i < parts.size(); i = next.fetch_add(1)) sorter.sort(parts[i]);
  };
  std::vector<std::jthread> others;
  for (unsigned n = 1; n < threads; ++n) others.emplace_back(work);
  work();
}

}  // namespace

void radix_sort(std::span<std::uint64_t> numbers, unsigned threads) { sort_with(numbers, threads); }
void radix_sort(std::span<U64Pair> pairs, unsigned threads) { sort_with(pairs, threads); }

}  // namespace heimdall
