#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "ports/reference_source.h"

namespace heimdall {

// Collects rows in one buffer and hands them to a sink in batches of at most 1024 rows or about 1 MiB, so that neither
// side allocates per row. Not thread-safe.
class RowBatch {
 public:
  explicit RowBatch(RowSink& sink) : sink_(sink) {}

  // Copies the row. Errors are the sink's.
  Result<void> add(std::string_view value, std::optional<std::string_view> bucket = std::nullopt) {
    entries_.push_back({bytes_.size(), value.size(), bucket ? std::optional(bucket->size()) : std::nullopt});
    bytes_ += value;
    if (bucket) bytes_ += *bucket;
    ++rows_;
    if (entries_.size() >= kMaxRows || bytes_.size() >= kMaxBytes) return flush();
    return {};
  }

  // Hands over what is left. Whoever returns success from read() has called it.
  Result<void> flush() {
    views_.clear();
    const std::string_view all(bytes_);
    for (const Entry& e : entries_) {
      ReferenceRow row{all.substr(e.offset, e.value_size), std::nullopt};
      if (e.bucket_size) row.bucket = all.substr(e.offset + e.value_size, *e.bucket_size);
      views_.push_back(row);
    }
    if (!views_.empty()) TRY(sink_.add(views_));
    entries_.clear();
    bytes_.clear();
    return {};
  }

  std::uint64_t rows() const { return rows_; }

 private:
  static constexpr std::size_t kMaxRows = 1024;
  static constexpr std::size_t kMaxBytes = 1 << 20;
  struct Entry {
    std::size_t offset, value_size;
    std::optional<std::size_t> bucket_size;
  };
  RowSink& sink_;
  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<ReferenceRow> views_;
  std::uint64_t rows_ = 0;
};

}  // namespace heimdall
