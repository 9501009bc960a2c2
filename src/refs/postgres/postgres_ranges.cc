#include "refs/postgres/postgres_ranges.h"

#include <algorithm>

#include "base/format.h"
#include "refs/postgres/postgres_text.h"

namespace heimdall::postgres {

namespace {

constexpr std::uint64_t kRangesPerReader = 16;  // so that the first reader to be done does not wait long for the last
constexpr std::uint64_t kRangeBlocks = 512;     // that are worth a statement
constexpr std::uint64_t kFewBlocks = 128;       // of a table that may be read from end to end for each range
constexpr int kRangeScans = 140000;             // the first version that reads a range of blocks without the rest

// Whether a range's query reads no more than its range of each table. That its rows are the right ones does not depend on it.
bool reads_its_range_alone(const Plan& plan, const std::vector<RelationFacts>& relations) {
  return std::ranges::all_of(plan.scans, [&](const PlannedScan& scan) {
    return scan.node == "Tid Range Scan" || std::ranges::any_of(relations, [&](const RelationFacts& relation) {
             return relation.name == scan.relation && relation.blocks <= kFewBlocks;
           });
  });
}

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
  std::vector<BlockRange> ranges(1);
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

Result<std::vector<BlockRange>> ranges_of(Connection& connection, const SplitRequest& request, const std::vector<RelationFacts>& relations, const Wait& wait) {
  std::vector<BlockRange> whole(1);
  if (request.readers < 2 || connection.server_version() < kRangeScans) return whole;
  std::vector<std::uint64_t> sizes;
  std::uint64_t blocks = 0, bytes = 0;
  for (const RelationFacts& relation : relations) {
    if (relation.kind != 'r' || !relation.is_heap) return whole;
    sizes.push_back(relation.blocks);
    blocks += relation.blocks;
    bytes += relation.blocks * relation.block_size;
  }
  if (bytes < std::max<std::uint64_t>(request.small_table, 1)) return whole;
  if (request.buffers == SplitRequest::SharedBuffers::spare) {
    TRY_ASSIGN(const Table quarter, connection.query("SELECT pg_size_bytes(current_setting('shared_buffers')) / 4", {}, wait));
    TRY_ASSIGN(const std::uint64_t spared, parse_number(quarter.at(0).at(0)));
    if (bytes > spared) return whole;
  }
  // A view's rows have no ctid.
  const Parameter parameters[] = {text_parameter(request.table)};
  TRY_ASSIGN(const Table kind, connection.query("SELECT relkind FROM pg_class WHERE oid = to_regclass($1)", parameters, wait));
  if (kind.size() != 1 || (kind[0].at(0) != "r" && kind[0].at(0) != "p")) return whole;

  auto ranges = cut_blocks(sizes, std::clamp(blocks / kRangeBlocks, std::uint64_t{request.readers}, kRangesPerReader * request.readers));
  for (const BlockRange& range : {ranges.front(), ranges.back()}) {
    TRY_ASSIGN(const Plan plan, explain(connection, request.query + condition_of(range), {}, "", wait));
    if (!reads_its_range_alone(plan, relations)) return whole;
  }
  return ranges;
}

}  // namespace heimdall::postgres
