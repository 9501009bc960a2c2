#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "refs/postgres/postgres_connection.h"
#include "refs/postgres/postgres_plan.h"

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

// A table that several connections are to read.
struct SplitRequest {
  std::string table;             // quoted
  std::string query;             // SELECT ... FROM table AS source, to which condition_of() can be appended
  std::size_t readers = 1;
  std::uint64_t small_table = 0;  // bytes that one reader reads alone
  // A range of blocks is read through shared_buffers, where a whole table of more than a quarter of these goes through a small ring: it would
  // push out what the application needs.
  enum class SharedBuffers { spare, use } buffers = SharedBuffers::use;
};

// The ranges to read it by, some per reader. One, the whole, where it is small, has no blocks of its own (a view, a foreign table), or the server would
// read all of it for each range. `relations` are those in the query's plan. To be asked in the snapshot in which it will be read.
Result<std::vector<BlockRange>> ranges_of(Connection& connection, const SplitRequest& request, const std::vector<RelationFacts>& relations, const Wait& wait);

}  // namespace heimdall::postgres
