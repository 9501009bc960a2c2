#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace heimdall::postgres {

// One value as COPY sends it; nullopt is NULL.
using Cell = std::optional<std::string_view>;

// Cuts the stream of COPY ... TO STDOUT (FORMAT binary) into rows, wherever it was cut on its way. Not thread-safe. After an error it is of
// no more use.
//
// Errors: corrupt, the stream is not of this form, or its rows have not `columns` fields; those of `take`.
class CopyReader {
 public:
  // `take` gets each row once it is whole; its cells are valid during the call.
  using Take = std::function<Result<void>(std::span<const Cell>)>;
  CopyReader(std::size_t columns, Take take) : take_(std::move(take)), cells_(columns) {}

  Result<void> feed(std::string_view bytes);
  // That the stream ended with its trailer, and held as many rows as the server says it has sent.
  Result<void> finish(std::uint64_t sent) const;
  std::uint64_t rows() const { return rows_; }

 private:
  enum class Expected { header, row, nothing };
  // How many bytes of the front of `bytes` the next part of the stream has; 0: it is not whole yet.
  Result<std::size_t> take_part(std::string_view bytes);
  Result<std::size_t> take_header(std::string_view bytes);
  Result<std::size_t> take_row(std::string_view bytes);

  Take take_;
  Expected expected_ = Expected::header;
  std::string rest_;  // of a part that is not whole yet
  std::vector<Cell> cells_;
  std::uint64_t rows_ = 0;
};

// COPY of the rows of `query`, a statement that the server has parsed alone. nullopt where it cannot stand inside another statement as it is.
std::optional<std::string> copy_sql(std::string_view query);

}  // namespace heimdall::postgres
