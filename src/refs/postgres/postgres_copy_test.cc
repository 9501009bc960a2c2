#include "refs/postgres/postgres_copy.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <random>

namespace heimdall::postgres {
namespace {

using ::testing::ElementsAre;

using Rows = std::vector<std::vector<std::optional<std::string>>>;

const std::string kHeader = std::string("PGCOPY\n\xff\r\n\0", 11) + std::string(8, '\0');
const std::string kTrailer = "\xff\xff";

std::string number(std::uint32_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text += static_cast<char>((value >> shift) & 0xFFU);
  return text;
}

std::string encoded(const Rows& rows) {
  std::string stream;
  for (const auto& row : rows) {
    stream += number(static_cast<std::uint32_t>(row.size()), 2);
    for (const auto& cell : row) stream += cell ? number(static_cast<std::uint32_t>(cell->size()), 4) + *cell : number(0xFFFFFFFF, 4);
  }
  return stream;
}

// What the pieces of a stream yield.
struct Reading {
  explicit Reading(std::size_t columns)
      : reader(columns, [this](std::span<const Cell> cells) {
          auto& row = rows.emplace_back();
          for (const Cell& cell : cells) row.push_back(cell ? std::optional(std::string(*cell)) : std::nullopt);
          return Result<void>();
        }) {}
  Result<void> feed(std::span<const std::string> pieces) {
    for (const std::string& piece : pieces) TRY(reader.feed(piece));
    return {};
  }
  Rows rows;
  CopyReader reader;
};

Result<Rows> read(const std::string& stream, std::uint64_t sent, std::size_t columns = 1) {
  Reading reading(columns);
  TRY(reading.feed(std::vector<std::string>{stream}));
  TRY(reading.reader.finish(sent));
  return reading.rows;
}

ErrorCode error_of(const std::string& stream, std::uint64_t sent, std::size_t columns = 1) {
  const auto rows = read(stream, sent, columns);
  return rows ? ErrorCode::not_found : rows.error().code;
}

TEST(PostgresCopy, null_is_not_the_empty_text) {
  const Rows rows = {{"a"}, {std::nullopt}, {""}, {std::string("\0\xff", 2)}};
  EXPECT_EQ(read(kHeader + encoded(rows) + kTrailer, 4).value(), rows);
  EXPECT_EQ(read(kHeader + kTrailer, 0).value(), Rows());
  const Rows pairs = {{"key", "bucket"}, {"key", std::nullopt}};
  EXPECT_EQ(read(kHeader + encoded(pairs) + kTrailer, 2, 2).value(), pairs);
}

// What a proxy makes of the server's messages is not bound to rows.
RC_GTEST_PROP(PostgresCopyProperty, pieces_of_any_size_yield_the_same_rows, (const std::vector<std::string>& keys, unsigned seed)) {
  Rows rows;
  for (const std::string& key : keys) rows.push_back({key, key.size() % 3 == 0 ? std::nullopt : std::optional("b" + key)});
  const std::string stream = kHeader + encoded(rows) + kTrailer;
  std::mt19937 random(seed);
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < stream.size(); at += pieces.back().size()) pieces.push_back(stream.substr(at, random() % 40));
  Reading reading(2);
  RC_ASSERT(reading.feed(pieces).has_value());
  RC_ASSERT(reading.reader.finish(rows.size()).has_value());
  RC_ASSERT(reading.rows == rows);
}

// Invariant 2: a stream that was cut anywhere is no stream.
TEST(PostgresCopy, a_stream_that_is_cut_anywhere_is_an_error) {
  const std::string stream = kHeader + encoded({{"abc"}, {std::nullopt}, {""}}) + kTrailer;
  for (std::size_t size = 0; size < stream.size(); ++size) EXPECT_EQ(error_of(stream.substr(0, size), 3), ErrorCode::corrupt) << size;
}

TEST(PostgresCopy, what_follows_the_end_is_an_error) {
  const std::string stream = kHeader + encoded({{"a"}}) + kTrailer;
  EXPECT_EQ(error_of(stream + "x", 1), ErrorCode::corrupt);
  EXPECT_EQ(error_of(stream + encoded({{"b"}}) + kTrailer, 2), ErrorCode::corrupt);
  Reading reading(1);
  ASSERT_TRUE(reading.reader.feed(stream));
  EXPECT_FALSE(reading.reader.feed("x"));
}

// Invariant 2.
TEST(PostgresCopy, another_number_of_rows_than_the_server_counted_is_an_error) {
  const std::string stream = kHeader + encoded({{"a"}, {"b"}}) + kTrailer;
  EXPECT_EQ(error_of(stream, 1), ErrorCode::corrupt);
  EXPECT_EQ(error_of(stream, 3), ErrorCode::corrupt);
}

TEST(PostgresCopy, another_number_of_fields_is_an_error) {
  EXPECT_EQ(error_of(kHeader + encoded({{"a", "b"}}) + kTrailer, 1), ErrorCode::corrupt);
  EXPECT_EQ(error_of(kHeader + encoded({{"a"}}) + kTrailer, 1, 2), ErrorCode::corrupt);
  EXPECT_EQ(error_of(kHeader + number(0, 2) + kTrailer, 1), ErrorCode::corrupt);
  EXPECT_EQ(error_of(kHeader + number(0x8001, 2) + kTrailer, 1), ErrorCode::corrupt);
}

TEST(PostgresCopy, malformed_streams_are_errors) {
  const std::string rows = encoded({{"a"}}) + kTrailer;
  EXPECT_EQ(error_of(rows, 1), ErrorCode::corrupt);
  EXPECT_EQ(error_of("PGCOPY\n\xff\n" + rows, 1), ErrorCode::corrupt);
  EXPECT_EQ(error_of("text", 1), ErrorCode::corrupt);
  const std::string signature = kHeader.substr(0, 11);
  EXPECT_EQ(error_of(signature + number(1U << 16U, 4) + number(0, 4) + rows, 1), ErrorCode::corrupt);
  EXPECT_EQ(error_of(signature + number(0, 4) + number(0xFFFFFFFF, 4) + rows, 1), ErrorCode::corrupt);
  EXPECT_EQ(read(signature + number(1, 4) + number(3, 4) + "abc" + rows, 1).value(), (Rows{{"a"}}));
  EXPECT_EQ(error_of(kHeader + number(1, 2) + number(0xFFFFFFFE, 4) + "a" + kTrailer, 1), ErrorCode::corrupt);
  EXPECT_EQ(error_of(kHeader + number(1, 2) + number(0x7FFFFFFF, 4) + "a" + kTrailer, 1), ErrorCode::corrupt);
}

TEST(PostgresCopy, an_error_of_the_taker_ends_it) {
  int calls = 0;
  CopyReader reader(1, [&](std::span<const Cell>) { ++calls; return Result<void>(Error{ErrorCode::cancelled, "enough"}); });
  EXPECT_EQ(reader.feed(kHeader + encoded({{"a"}, {"b"}})).error().code, ErrorCode::cancelled);
  EXPECT_EQ(calls, 1);
}

TEST(PostgresCopy, a_query_that_can_stand_inside_another_one_is_copied) {
  EXPECT_EQ(copy_sql("SELECT 1 -- one"), "COPY (\nSELECT 1 -- one\n) TO STDOUT (FORMAT binary)");
  EXPECT_EQ(copy_sql("VALUES (1) ;; \n"), "COPY (\nVALUES (1)\n) TO STDOUT (FORMAT binary)");
  for (const char* query : {"SELECT 1; -- one", "SELECT ';'", "SELECT E'\\'; -- '", ";", ""}) EXPECT_EQ(copy_sql(query), std::nullopt) << query;
}

}  // namespace
}  // namespace heimdall::postgres
