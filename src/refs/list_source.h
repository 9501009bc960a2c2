#pragma once

#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "io/fd.h"
#include "ports/reference_source.h"

namespace heimdall {

enum class ListSeparator { newline, nul };

struct ListSourceOptions {
  std::filesystem::path path;  // "-" is `input`
  ListSeparator separator = ListSeparator::newline;
  std::optional<Timestamp> taken_at;  // when the list was made; else the file's mtime, or when the read of a pipe began
  int input = STDIN_FILENO;           // not owned
};

// References in a list: one key per line, or NUL-terminated. A value is all bytes between two separators: blanks, quotes and a
// carriage return in front of the line feed belong to it (the guard near_miss notices the lists that come from Windows).
// Empty lines are blank rows. The time of the list is never later than the beginning of the read.
//
// Errors beside those of the port: corrupt, the last line has no end (a cut list), a byte order mark, or the file changed while
// it was read; invalid_argument, it is a directory; failed_precondition, a pipe is read twice.
class ListSource final : public ReferenceSource {
 public:
  ListSource(ListSourceOptions options, Clock& clock) : options_(std::move(options)), clock_(clock) {}

  // Does not read from a pipe.
  Result<SourceIdentity> identity() override;
  Result<ReadSummary> read(RowSink& sink, std::stop_token stop) override;
  bool can_read_again() const override;
  Result<LookupCost> lookup_cost() override { return LookupCost::unsupported; }
  Result<ReadSummary> lookup(std::span<const std::string> values, RowSink& sink, std::stop_token stop) override;
  // Nobody writes rows into a list.
  Result<void> wait_for_writers(const WriterMark& mark, std::chrono::milliseconds patience, std::stop_token stop) override;

 private:
  bool is_input() const { return options_.path == "-"; }
  std::string name() const;
  Error changed() const;
  Result<UniqueFd> open() const;
  Result<std::uint64_t> read_rows(int fd, RowSink& sink, const std::stop_token& stop) const;

  ListSourceOptions options_;
  Clock& clock_;
  bool was_read_ = false;
};

}  // namespace heimdall
