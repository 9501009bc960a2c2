#include "refs/postgres/postgres_ranges.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace heimdall::postgres {
namespace {

std::uint64_t blocks_in(const BlockRange& range, std::span<const std::uint64_t> sizes) {
  std::uint64_t sum = 0;
  for (const std::uint64_t size : sizes) sum += std::min(size, range.to.value_or(size)) - std::min(size, range.from);
  return sum;
}

// Invariant 2: a block in no range would be rows that nobody read.
RC_GTEST_PROP(PostgresRangesProperty, there_is_no_gap_and_no_overlap, ()) {
  const auto sizes = *rc::gen::container<std::vector<std::uint64_t>>(rc::gen::inRange<std::uint64_t>(0, 5'000'000'000));
  const auto parts = *rc::gen::inRange<std::size_t>(0, 100);
  const auto ranges = cut_blocks(sizes, parts);
  RC_ASSERT(!ranges.empty());
  RC_ASSERT(ranges.size() <= std::max<std::size_t>(parts, 1));
  RC_ASSERT(ranges.front().from == 0U);
  RC_ASSERT(!ranges.back().to);
  for (std::size_t i = 0; i + 1 < ranges.size(); ++i) {
    RC_ASSERT(ranges[i].to == ranges[i + 1].from);
    RC_ASSERT(ranges[i].from < *ranges[i].to);
  }
  std::uint64_t all = 0, sum = 0;
  for (const std::uint64_t size : sizes) all += size;
  for (const BlockRange& range : ranges) {
    sum += blocks_in(range, sizes);
    // One block of each table more than its share at most.
    RC_ASSERT(blocks_in(range, sizes) <= all / std::max<std::size_t>(parts, 1) + sizes.size() + 1);
  }
  RC_ASSERT(sum == all);
}

TEST(PostgresRanges, small_tables_have_fewer_ranges) {
  const std::vector<std::uint64_t> none, empty = {0}, three = {3};
  EXPECT_EQ(cut_blocks(none, 4), (std::vector<BlockRange>{{}}));
  EXPECT_EQ(cut_blocks(empty, 4), (std::vector<BlockRange>{{}}));
  EXPECT_EQ(cut_blocks(three, 1), (std::vector<BlockRange>{{}}));
  EXPECT_EQ(cut_blocks(three, 8), (std::vector<BlockRange>{{0, 1}, {1, 2}, {2, {}}}));
}

TEST(PostgresRanges, partitions_are_cut_at_the_same_blocks) {
  const std::vector<std::uint64_t> equal = {100, 100, 0}, unequal = {10, 1000};
  EXPECT_EQ(cut_blocks(equal, 2), (std::vector<BlockRange>{{0, 50}, {50, {}}}));
  EXPECT_EQ(cut_blocks(unequal, 2), (std::vector<BlockRange>{{0, 495}, {495, {}}}));
}

TEST(PostgresRanges, conditions_meet_without_a_gap) {
  EXPECT_EQ(condition_of({}), "");
  EXPECT_EQ(condition_of({0, 7}), " WHERE source.ctid < '(7,0)'::tid");
  EXPECT_EQ(condition_of({7, 9}), " WHERE source.ctid >= '(7,0)'::tid AND source.ctid < '(9,0)'::tid");
  EXPECT_EQ(condition_of({9, {}}), " WHERE source.ctid >= '(9,0)'::tid");
}

}  // namespace
}  // namespace heimdall::postgres
