#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "io/sqlite.h"
#include "ports/journal.h"

namespace heimdall {

// The journal's half of the state database; see JournalLog for the promises. Not thread-safe.
//
// One row per run, bucket and object: an intent makes it (or puts it in doubt again), an outcome settles it. Outcomes wait in
// memory for the next commit, so that a batch costs one fsync; those of an interrupted process are looked up by recover.
class JournalTable {
 public:
  JournalTable(sqlite::Database& db, const Clock& clock) : db_(db), clock_(clock) {}

  // The intents of one batch; views of its caller's.
  struct Intents {
    std::string_view run_id;
    std::string_view bucket;
    std::string_view bucket_identity;
    std::span<const ObjectMeta> objects;
  };
  // Those of several batches in one transaction, with one fsync: all of them, or none.
  Result<void> intend(std::span<const Intents> batches);
  Result<void> record(std::string_view run_id, std::span<const Deletion> deletions);
  Result<void> flush();
  Result<std::vector<InDoubt>> in_doubt(std::string_view bucket_identity);

  // Some deletions of a run behind row `after`, at most `limit`, in order; `after` moves on. Empty at the end.
  Result<std::vector<Deletion>> next_deletions(std::string_view run_id, std::int64_t& after, std::size_t limit = SIZE_MAX);

 private:
  struct Pending {
    std::string run_id;
    Deletion deletion;
    Timestamp at;
  };

  Result<void> write_intents(std::int64_t sweep, std::span<const ObjectMeta> objects);
  Result<void> write_pending();
  Result<void> write_outcome(std::int64_t sweep, const Pending& pending);
  Result<std::int64_t> sweep_id(std::string_view run_id, std::string_view bucket, std::string_view bucket_identity);
  // Compiled once per connection.
  Result<sqlite::Statement*> statement(std::optional<sqlite::Statement>& cached, std::string_view sql);

  sqlite::Database& db_;
  const Clock& clock_;
  std::vector<Pending> pending_;
  std::optional<sqlite::Statement> intend_again_;
  std::optional<sqlite::Statement> settle_;
  std::optional<sqlite::Statement> insert_;
};

}  // namespace heimdall
