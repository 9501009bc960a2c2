#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "io/record_file.h"
#include "model/object.h"

namespace heimdall {

// The orphan ledger of one bucket: a sealed record file, sorted by key, of every object that complete scans have found to be an
// orphan, and since when. An object that was rewritten is another object and starts anew.
inline constexpr std::string_view kLedgerKind = "ledger";
inline constexpr std::uint32_t kLedgerVersion = 1;

struct LedgerEntry {
  ObjectMeta object;
  Timestamp first_seen{};
};
std::string encode(const LedgerEntry& entry);
Result<LedgerEntry> decode_ledger_entry(std::string_view record);

// Reads a ledger in step with a sorted stream of objects.
class LedgerReader {
 public:
  // A missing ledger is empty. corrupt if it is damaged: the whole file is checked first.
  static Result<LedgerReader> open(const std::filesystem::path& path);

  // Since when this very object (same key, size, ETag, date) is known as an orphan. Keys must ascend from call to call.
  Result<std::optional<Timestamp>> first_seen(const ObjectMeta& object);

 private:
  Result<void> advance();
  std::optional<RecordReader> reader_;  // none: empty or at its end
  std::optional<LedgerEntry> current_;
};

}  // namespace heimdall
