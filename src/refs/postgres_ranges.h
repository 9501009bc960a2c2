#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace heimdall::postgres {

// The blocks from `from` to before `to` of a table and of each of its partitions; without `to` all that follow, however many there are by now.
struct BlockRange {
  std::uint64_t from = 0;
  std::optional<std::uint64_t> to;
  bool operator==(const BlockRange&) const = default;
};

// Cuts tables of `sizes` blocks into at most `parts` ranges with about as many blocks in each. The first begins at 0, each other one where
// the one before ends, the last has no end: whatever a table's size, each row's block is in exactly one of them.
std::vector<BlockRange> cut_blocks(std::span<const std::uint64_t> sizes, std::size_t parts);

// The rows of `source` in the range: " WHERE source.ctid >= ..."; empty for all of them.
std::string condition_of(const BlockRange& range);

}  // namespace heimdall::postgres
