#include "refs/postgres_ranges.h"

#include <algorithm>

#include "base/format.h"

namespace heimdall::postgres {

namespace {

// How many blocks lie before block `end` in all of them together.
std::uint64_t blocks_before(std::span<const std::uint64_t> sizes, std::uint64_t end) {
  std::uint64_t sum = 0;
  for (const std::uint64_t size : sizes) sum += std::min(size, end);
  return sum;
}

// The first block with at least `wanted` blocks before it.
std::uint64_t block_after(std::span<const std::uint64_t> sizes, std::uint64_t wanted, std::uint64_t largest) {
  std::uint64_t low = 0, high = largest;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    if (blocks_before(sizes, middle) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

}  // namespace

std::vector<BlockRange> cut_blocks(std::span<const std::uint64_t> sizes, std::size_t parts) {
  const std::uint64_t largest = sizes.empty() ? 0 : std::ranges::max(sizes);
  const std::uint64_t all = blocks_before(sizes, largest);
  std::vector<BlockRange> ranges = {{}};
  for (std::uint64_t part = 1; part < parts; ++part) {
    const std::uint64_t cut = block_after(sizes, all / parts * part + all % parts * part / parts, largest);
    if (cut <= ranges.back().from || cut >= largest) continue;
    ranges.back().to = cut;
    ranges.push_back({cut, std::nullopt});
  }
  return ranges;
}

std::string condition_of(const BlockRange& range) {
  std::string condition;
  if (range.from > 0) condition = format(" WHERE source.ctid >= '({},0)'::tid", range.from);
  if (range.to) condition += format(" {} source.ctid < '({},0)'::tid", condition.empty() ? "WHERE" : "AND", *range.to);
  return condition;
}

}  // namespace heimdall::postgres
