#include "pipeline/listing/ledger.h"

#include "pipeline/object_codec.h"

namespace heimdall {

std::string encode(const LedgerEntry& entry) {
  std::string record;
  append_object(record, entry.object);
  append_time(record, entry.first_seen);
  return record;
}

Result<LedgerEntry> decode_ledger_entry(std::string_view record) {
  RecordDecoder in(record);
  LedgerEntry entry;
  entry.object = decode_object(in);
  const auto first_seen = in.time();
  if (!in.ok() || !in.at_end() || !first_seen) return Error{ErrorCode::corrupt, "a ledger entry does not decode"};
  entry.first_seen = *first_seen;
  return entry;
}

Result<LedgerReader> LedgerReader::open(const std::filesystem::path& path) {
  LedgerReader ledger;
  auto reader = RecordReader::open(path, kLedgerKind, kLedgerVersion);
  if (!reader && reader.error().code == ErrorCode::not_found) return ledger;
  TRY(reader);
  TRY(prove(*reader));
  TRY(reader->read_again());
  ledger.reader_ = std::move(*reader);
  TRY(ledger.advance());
  return ledger;
}

Result<void> LedgerReader::advance() {
  current_.reset();
  if (!reader_) return {};
  TRY_ASSIGN(const auto record, reader_->next());
  if (!record) {
    reader_.reset();
    return {};
  }
  TRY_ASSIGN(current_, decode_ledger_entry(*record));
  return {};
}

Result<std::optional<Timestamp>> LedgerReader::first_seen(const ObjectMeta& object) {
  while (current_ && current_->object.key < object.key) TRY(advance());
  if (!current_ || current_->object != object) return std::optional<Timestamp>();
  return std::optional(current_->first_seen);
}

}  // namespace heimdall
