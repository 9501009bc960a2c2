#include "refs/postgres/postgres_copy.h"

#include "base/format.h"

namespace heimdall::postgres {

namespace {

// https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": the signature, flags and an extension of the header; then per row the
// number of fields, and for each its length (-1: NULL) and bytes; at the end -1 where a number of fields belongs. All numbers are big-endian.
constexpr std::string_view kSignature("PGCOPY\n\xff\r\n\0", 11);
constexpr std::size_t kFixedHeader = kSignature.size() + 8;
constexpr std::uint32_t kCriticalFlags = 0xFFFF0000;  // "the reader should abort if it finds an unexpected bit set in this range"
constexpr std::size_t kMaxExtension = 1 << 16;
constexpr std::uint16_t kTrailer = 0xFFFF;
constexpr std::uint32_t kNull = 0xFFFFFFFF;
constexpr std::uint32_t kMaxField = 0x7FFFFFFF;

std::uint32_t number_at(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < size; ++i) number = number << 8U | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

Error corrupt(std::string why) {
  return {ErrorCode::corrupt, format("what PostgreSQL's COPY sent cannot be read: {}", why), "nothing that was read so far is believed; run the command again"};
}

}  // namespace

Result<void> CopyReader::feed(std::string_view bytes) {
  const bool continues = !rest_.empty();
  if (continues) {
    rest_ += bytes;
    bytes = rest_;
  }
  std::size_t done = 0;
  while (done < bytes.size()) {
    TRY_ASSIGN(const std::size_t size, take_part(bytes.substr(done)));
    if (size == 0) break;
    done += size;
  }
  if (continues) {
    rest_.erase(0, done);
  } else {
    rest_ = bytes.substr(done);
  }
  return {};
}

Result<void> CopyReader::finish(std::uint64_t sent) const {
  if (expected_ != Expected::nothing) return corrupt("it ended before its end mark");
  if (rows_ != sent) return corrupt(format("{} rows arrived, but {} were sent", rows_, sent));
  return {};
}

Result<std::size_t> CopyReader::take_part(std::string_view bytes) {
  if (expected_ == Expected::header) return take_header(bytes);
  if (expected_ == Expected::row) return take_row(bytes);
  return corrupt("it goes on behind its end mark");
}

Result<std::size_t> CopyReader::take_header(std::string_view bytes) {
  if (!kSignature.starts_with(bytes.substr(0, kSignature.size()))) return corrupt("it does not begin as it should");
  if (bytes.size() < kFixedHeader) return std::size_t{0};
  if ((number_at(bytes, kSignature.size(), 4) & kCriticalFlags) != 0) return corrupt("it is of a newer form");
  const std::size_t extension = number_at(bytes, kSignature.size() + 4, 4);
  if (extension > kMaxExtension) return corrupt("its header has no end");
  if (bytes.size() < kFixedHeader + extension) return std::size_t{0};
  expected_ = Expected::row;
  return kFixedHeader + extension;
}

Result<std::size_t> CopyReader::take_row(std::string_view bytes) {
  std::size_t at = 2;
  if (bytes.size() < at) return std::size_t{0};
  const std::uint32_t fields = number_at(bytes, 0, 2);
  if (fields == kTrailer) {
    expected_ = Expected::nothing;
    return at;
  }
  if (fields != cells_.size()) return corrupt(format("a row has {} fields in place of {}", fields, cells_.size()));
  for (Cell& cell : cells_) {
    if (bytes.size() - at < 4) return std::size_t{0};
    const std::uint32_t size = number_at(bytes, at, 4);
    at += 4;
    cell.reset();
    if (size == kNull) continue;
    if (size > kMaxField) return corrupt("a value has no length");
    if (bytes.size() - at < size) return std::size_t{0};
    cell = bytes.substr(at, size);
    at += size;
  }
  TRY(take_(cells_));
  ++rows_;
  return at;
}

// The server has parsed it alone, so its quotes and parentheses are balanced, and a comment at its end is ended by the new line. A ';' in a
// text or a comment is as good as any other byte, but only the server could say for sure that this is what it is.
std::optional<std::string> copy_sql(std::string_view query) {
  const std::size_t end = query.find_last_not_of(" \t\r\n\f\v;");
  const std::string_view statement = query.substr(0, end == std::string_view::npos ? 0 : end + 1);
  if (statement.empty() || statement.find(';') != std::string_view::npos) return std::nullopt;
  return format("COPY (\n{}\n) TO STDOUT (FORMAT binary)", statement);
}

}  // namespace heimdall::postgres
