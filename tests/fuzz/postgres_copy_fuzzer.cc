// A stream of COPY means the same wherever it was cut on its way, and what is no such stream is an error.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "refs/postgres/postgres_copy.h"

namespace {

using heimdall::postgres::Cell;
using heimdall::postgres::CopyReader;

void check(bool holds) {
  if (!holds) std::abort();
}

// All that a reader makes of a stream.
struct Read {
  std::string cells;
  std::uint64_t rows = 0;
  bool is_whole = false;
  bool operator==(const Read&) const = default;
};

Read read(std::string_view stream, std::size_t columns, std::size_t piece) {
  Read read;
  CopyReader reader(columns, [&](std::span<const Cell> row) -> heimdall::Result<void> {
    check(row.size() == columns);
    for (const Cell& cell : row) read.cells.append(cell ? std::to_string(cell->size()) : "NULL").append(":").append(cell.value_or("")).append(";");
    return {};
  });
  bool is_good = true;
  for (std::size_t at = 0; is_good && at < stream.size(); at += piece) is_good = reader.feed(stream.substr(at, piece)).has_value();
  read.rows = reader.rows();
  read.is_whole = is_good && reader.finish(read.rows).has_value();
  if (read.is_whole) check(!reader.finish(read.rows + 1));
  return read;
}

}  // namespace

// How many columns, how long the pieces are, and the stream behind the signature.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t columns = data[0] % 3;
  const std::size_t piece = 1 + data[1] % 64;
  const std::string stream = std::string("PGCOPY\n\377\r\n\0", 11) + std::string(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Read at_once = read(stream, columns, stream.size());
  check(read(stream, columns, piece) == at_once);
  for (std::size_t cut = 0; at_once.is_whole && cut < std::min<std::size_t>(stream.size(), 64); ++cut) {
    check(!read(std::string_view(stream).substr(0, stream.size() - 1 - cut), columns, stream.size()).is_whole);
  }
  return 0;
}
