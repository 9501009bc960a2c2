#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "refs/json_strings.h"
#include "refs/postgres/postgres_connection.h"
#include "refs/postgres/postgres_copy.h"
#include "refs/row_batch.h"

namespace heimdall::postgres {

// How the columns of a query become references.
struct RowShape {
  int key = 0;
  std::optional<int> bucket;
  std::uint32_t key_type = 0;
  std::uint32_t bucket_type = 0;
  // Whether `value = text` finds the rows whose value reads as that text: text and varchar.
  bool is_comparable() const;
  // Whether the binary form that COPY sends is what value_of() yields, up to what copied_value_of() takes off.
  bool can_be_copied() const;
  std::size_t columns() const { return bucket ? 2 : 1; }
};

// One column of any name, or two named key and bucket. invalid_argument for others, and for types whose text is no name: arrays,
// composites and ranges, hstore and tsvector, and JSON without a selector.
Result<RowShape> shape_of(Connection& connection, const Description& description, const std::optional<JsonSelector>& json, const Wait& wait);

// Hands over the rows of one query. bytea is taken as its bytes, char(n) without the blanks that fill it up (PostgreSQL's own
// conversion to text drops them), anything else as its text; NULL is blank.
class RowReader {
 public:
  RowReader(const RowShape& shape, const std::optional<JsonSelector>& json, RowBatch& batch) : shape_(shape), json_(json), batch_(batch) {}
  // Errors of the sink; corrupt, the value is no JSON.
  Result<void> take(const Row& row);
  // As COPY sent it. Only of shapes that can be copied.
  Result<void> take_copied(std::span<const Cell> cells);

 private:
  Result<void> hand_over(std::string_view key, std::optional<std::string_view> bucket);

  const RowShape& shape_;
  const std::optional<JsonSelector>& json_;
  RowBatch& batch_;
  std::string key_, bucket_;  // decoded, reused
};

// Hands over all rows of one statement, by COPY where that can be, and says how many they were, with JSON how many strings. Errors are those of
// Connection, RowReader and CopyReader.
Result<std::uint64_t> read_rows(Connection& connection, const std::string& query, const RowShape& shape, const std::optional<JsonSelector>& json,
                                RowSink& sink, const Wait& wait);

// The text of one value; `buffer` serves where it has to be decoded. corrupt, if it cannot.
Result<std::string_view> value_of(std::optional<std::string_view> cell, std::uint32_t type, std::string& buffer);
// The same of a value as COPY sent it. corrupt, a jsonb of another version than 1.
Result<std::string_view> copied_value_of(Cell cell, std::uint32_t type);

}  // namespace heimdall::postgres
