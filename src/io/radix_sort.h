#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>

namespace heimdall {

struct U64Pair {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  auto operator<=>(const U64Pair&) const = default;
};

// Sorts in place, for numbers that are spread evenly, as fingerprints are; any others take longer and come out as well. `threads` of them work,
// the calling one included; all others have ended when it returns. Beside the numbers it takes half a megabyte per thread.
void radix_sort(std::span<std::uint64_t> numbers, unsigned threads = 1);
// By `first`, then by `second`.
void radix_sort(std::span<U64Pair> pairs, unsigned threads = 1);

}  // namespace heimdall
