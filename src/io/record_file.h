#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "io/fd.h"
#include "io/sha256.h"

namespace heimdall {

// A sealed file of records: the form of the plan, the orphan ledger and the spools (docs/formats/record-file.md).
//
//   file   = "HMDL" kind(8 bytes, NUL padded) version(4 bytes, little endian) record* end
//   record = length(varint, >= 1) bytes
//   end    = 0x00 count(8 bytes, little endian) sha256(32 bytes, of everything before it)
//
// A file without its end is a file that was cut: no reader ever takes it for a short one.

// Writes `path`.tmp-PID and renames it to `path` when sealed; destroyed unsealed it leaves nothing behind. Not thread-safe.
class RecordWriter {
 public:
  static Result<RecordWriter> create(std::filesystem::path path, std::string_view kind, std::uint32_t version);
  RecordWriter(RecordWriter&&) noexcept;
  RecordWriter& operator=(RecordWriter&&) = delete;
  ~RecordWriter();

  // `record` must not be empty.
  Result<void> add(std::string_view record);
  // Under its final name when it returns, and durable unless it is scratch; the digest in hexadecimal.
  enum class Durability { durable, scratch };
  Result<std::string> seal(Durability durability = Durability::durable);
  std::uint64_t count() const { return count_; }

 private:
  RecordWriter(std::filesystem::path path, std::filesystem::path temporary, UniqueFd fd);
  Result<void> flush();

  std::filesystem::path path_;
  std::filesystem::path temporary_;  // empty once sealed
  UniqueFd fd_;
  std::string buffer_;
  Sha256 hash_;
  std::uint64_t count_ = 0;
};

// Reads one from the front. Not thread-safe.
class RecordReader {
 public:
  // not_found, permission_denied; corrupt if it is no file of this kind and version.
  static Result<RecordReader> open(const std::filesystem::path& path, std::string_view kind, std::uint32_t version);

  // From the front again, once the end was proved: the same records, since what lies under the path by now is of no account, and next() is corrupt where the file
  // was written to since it was opened.
  Result<void> read_again();

  // The next record, valid until the next call; nullopt only after the end proved count and digest. corrupt otherwise.
  Result<std::optional<std::string_view>> next();
  // Hexadecimal; known once next() returned nullopt.
  const std::string& digest() const { return digest_; }

 private:
  // Size and time of the last change of its content.
  struct State {
    off_t size = 0;
    timespec changed{};
  };
  RecordReader(UniqueFd fd, std::string name, std::string header) : fd_(std::move(fd)), name_(std::move(name)), header_(std::move(header)) {}
  Result<State> state() const;
  Result<void> take_header();
  Result<void> fill(std::size_t wanted);
  Result<std::string_view> take(std::size_t count);
  Error damaged(std::string_view how) const;

  UniqueFd fd_;
  std::string name_;
  std::string header_;  // as it has to be
  State opened_;
  bool is_proved_ = false;  // once to the end: from then on nothing may change
  std::string buffer_;
  std::size_t position_ = 0;
  Sha256 hash_;
  std::uint64_t count_ = 0;
  std::string digest_;
};

// Whether the file begins as one of this kind, of whatever version: what lies behind was not looked at. not_found, permission_denied.
Result<bool> has_record_kind(const std::filesystem::path& path, std::string_view kind);

// Reads to the end: the proof that nobody cut or altered the file.
Result<void> prove(RecordReader& reader);

}  // namespace heimdall
