#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "io/sqlite.h"
#include "ports/reference_source.h"
#include "refs/json_strings.h"
#include "refs/sqlite_file.h"

namespace heimdall {

struct SqliteSourceOptions {
  std::filesystem::path path;
  std::string query;  // one SELECT, WITH or VALUES; or `table` and `column`
  std::string table;
  std::string column;
  std::optional<JsonSelector> json;  // the values are JSON documents
  std::chrono::milliseconds busy_timeout = std::chrono::seconds(10);
};

// References in an SQLite database. The file is opened for each read, read-only (`mode=ro`, never `immutable`), never created.
//
// Rows are one column of any name, or two named `key` and `bucket`. Text and blobs are taken as their bytes, numbers as
// SQLite prints them. A name in double quotes that does not exist is an error here, not a string. Outside WAL mode no
// writer can commit while a read lasts; it waits as its own busy time-out says.
//
// Errors beside those of the port: not_found, the file is missing; corrupt, it is no database, or a value is no JSON; unavailable,
// a writer kept it locked for `busy_timeout`; permission_denied, also for a WAL that cannot be opened; invalid_argument, the
// query is rejected or yields other columns; failed_precondition, the file was replaced meanwhile, or is mounted alone.
class SqliteSource final : public ReferenceSource {
 public:
  SqliteSource(SqliteSourceOptions options, Clock& clock);

  Result<SourceIdentity> identity() override;
  // Opens the file and reads its schema; waits at most five seconds for a writer.
  Result<void> ping(const std::stop_token& stop) override;
  Result<ReadSummary> read(RowSink& sink, std::stop_token stop) override;
  bool can_read_again() const override { return true; }

  // unsupported for JSON, for (bucket, key), and where a value may be stored in another form than the text it reads as:
  // anything but a plain column of a text type.
  Result<LookupCost> lookup_cost() override;
  // Only where lookup_cost() is not `unsupported`: else failed_precondition.
  Result<ReadSummary> lookup(std::span<const std::string> values, RowSink& sink, std::stop_token stop) override;

  // A transaction that rolls back and is followed by another one of the same process within 50 ms counts as one.
  Result<void> wait_for_writers(const WriterMark& mark, std::chrono::milliseconds patience, std::stop_token stop) override;

 private:
  struct Snapshot;
  struct Query;
  Result<void> check_verb(const SqliteFile& file) const;
  Result<Snapshot> open_snapshot(std::stop_token stop);
  Result<sqlite::Database> begin(const SqliteFile& file, std::chrono::milliseconds busy_timeout, std::stop_token stop);
  Result<Query> prepare(Snapshot& snapshot);
  Result<bool> can_look_up(Snapshot& snapshot, const Query& query);
  Error explained(Error error, const SqliteFile& file) const;

  SqliteSourceOptions options_;
  std::string sql_;  // the query as one statement, without comments around it
  Clock& clock_;
};

}  // namespace heimdall
