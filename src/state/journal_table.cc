#include "state/journal_table.h"

#include <algorithm>

#include "base/crash_point.h"
#include "base/format.h"
#include "state/columns.h"
#include "state/transaction.h"

namespace heimdall {

namespace {

// About 10 MB. More outcomes than this without an intent happen where everything is skipped.
constexpr std::size_t kMostPending = 20'000;
constexpr std::size_t kPage = 500;

// One object of a sweep. Equal values are the same object, unchanged (ObjectMeta), so they share a row.
constexpr std::string_view kIntendAgain =
    "UPDATE journal SET intended_at = ?7, recorded_at = NULL, outcome = 'in_doubt', error = '' "
    "WHERE sweep = ?1 AND key = ?2 AND size_bytes = ?3 AND last_modified IS ?4 AND etag = ?5 AND version_id = ?6";
constexpr std::string_view kSettle =
    "UPDATE journal SET recorded_at = ?7, outcome = ?8, error = ?9 "
    "WHERE sweep = ?1 AND key = ?2 AND size_bytes = ?3 AND last_modified IS ?4 AND etag = ?5 AND version_id = ?6";
constexpr std::string_view kInsert =
    "INSERT INTO journal (sweep, key, size_bytes, last_modified, etag, version_id, intended_at, recorded_at, outcome, error) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

// An intent alone does not tell when its request left, only when at the earliest. It left before its process ended: so the
// end of the run is the time that is surely not too early, and the present for a run that goes on.
constexpr std::string_view kInDoubt =
    "SELECT s.run_id, s.bucket, s.bucket_identity, j.key, j.size_bytes, j.last_modified, j.etag, j.version_id, "
    "  CASE WHEN j.recorded_at IS NOT NULL THEN j.recorded_at "
    "       WHEN r.status = 'running' THEN max(j.intended_at, ?2) "
    "       ELSE max(j.intended_at, coalesce(r.interrupted_at, r.completed_at, j.intended_at)) END "
    "FROM journal j JOIN sweeps s ON s.id = j.sweep LEFT JOIN runs r ON r.run_id = s.run_id "
    "WHERE j.outcome = 'in_doubt' AND (?1 = '' OR s.bucket_identity = ?1) ORDER BY j.id";

void bind_object(sqlite::Statement& statement, std::int64_t sweep, const ObjectMeta& object) {
  statement.bind(1, sweep).bind_blob(2, object.key.bytes()).bind(3, to_column(object.size_bytes));
  bind_time(statement, 4, object.last_modified);
  statement.bind_text(5, object.etag).bind_text(6, object.version_id);
}

// Columns key, size_bytes, last_modified, etag, version_id from `first` on.
ObjectMeta read_object(const sqlite::Statement& row, int first) {
  return {ObjectKey(std::string(row.bytes(first))), from_column(row.integer(first + 1)), time_of(row, first + 2),
          std::string(row.bytes(first + 3)), std::string(row.bytes(first + 4))};
}

Result<void> run(sqlite::Statement& statement) {
  const auto stepped = statement.step();
  statement.reset();
  TRY(stepped);
  return {};
}

Error not_written(Error error) {
  return with_context(std::move(error), "the journal could not be written, so nothing more will be deleted");
}

}  // namespace

Result<void> JournalTable::intend(std::span<const Intents> batches) {
  const auto write = [&]() -> Result<void> {
    TRY_ASSIGN(Transaction transaction, Transaction::begin(db_));
    TRY(write_pending());
    for (const Intents& batch : batches) {
      TRY_ASSIGN(const std::int64_t sweep, sweep_id(batch.run_id, batch.bucket, batch.bucket_identity));
      TRY(write_intents(sweep, batch.objects));
    }
    crash_point("journal.intend.before_commit");
    return transaction.commit();
  };
  if (auto written = write(); !written) return not_written(written.error());
  crash_point("journal.intend.committed");
  pending_.clear();
  return {};
}

Result<void> JournalTable::record(std::string_view run_id, std::span<const Deletion> deletions) {
  const std::size_t before = pending_.size();
  const Timestamp now = clock_.now();
  for (const Deletion& deletion : deletions) pending_.push_back({std::string(run_id), deletion, now});
  if (pending_.size() < kMostPending) return {};
  auto flushed = flush();
  if (!flushed) pending_.resize(before, Pending{});
  return flushed;
}

Result<void> JournalTable::flush() {
  if (pending_.empty()) return {};
  const auto write = [&]() -> Result<void> {
    TRY_ASSIGN(Transaction transaction, Transaction::begin(db_));
    TRY(write_pending());
    crash_point("journal.record.before_commit");
    return transaction.commit();
  };
  // What could not be written stays pending: another try may find space again.
  if (auto written = write(); !written) return not_written(written.error());
  crash_point("journal.record.committed");
  pending_.clear();
  return {};
}

Result<void> JournalTable::write_intents(std::int64_t sweep, std::span<const ObjectMeta> objects) {
  TRY_ASSIGN(sqlite::Statement* again, statement(intend_again_, kIntendAgain));
  TRY_ASSIGN(sqlite::Statement* insert, statement(insert_, kInsert));
  const std::int64_t now = to_column(clock_.now());
  for (const ObjectMeta& object : objects) {
    bind_object(*again, sweep, object);
    again->bind(7, now);
    TRY(run(*again));
    if (db_.changes() > 0) continue;
    bind_object(*insert, sweep, object);
    insert->bind(7, now).bind_null(8).bind_text(9, to_string(Outcome::in_doubt)).bind_text(10, "");
    TRY(run(*insert));
  }
  return {};
}

Result<void> JournalTable::write_pending() {
  const Pending* last = nullptr;  // neighbours mostly share their sweep
  std::int64_t sweep = 0;
  for (const Pending& pending : pending_) {
    if (last == nullptr || last->run_id != pending.run_id || last->deletion.bucket != pending.deletion.bucket) {
      TRY_ASSIGN(sweep, sweep_id(pending.run_id, pending.deletion.bucket, ""));
    }
    last = &pending;
    TRY(write_outcome(sweep, pending));
  }
  return {};
}

Result<void> JournalTable::write_outcome(std::int64_t sweep, const Pending& pending) {
  const Deletion& deletion = pending.deletion;
  const std::string_view outcome = to_string(deletion.outcome);
  TRY_ASSIGN(sqlite::Statement* settle, statement(settle_, kSettle));
  bind_object(*settle, sweep, deletion.object);
  settle->bind(7, to_column(pending.at)).bind_text(8, outcome).bind_text(9, deletion.error);
  TRY(run(*settle));
  if (db_.changes() > 0) return {};
  TRY_ASSIGN(sqlite::Statement* insert, statement(insert_, kInsert));
  bind_object(*insert, sweep, deletion.object);
  insert->bind_null(7).bind(8, to_column(pending.at)).bind_text(9, outcome).bind_text(10, deletion.error);
  return run(*insert);
}

// A sweep that begins with skipped keys is made before its identity is known; the first intent tells it.
Result<std::int64_t> JournalTable::sweep_id(std::string_view run_id, std::string_view bucket, std::string_view bucket_identity) {
  TRY_ASSIGN(sqlite::Statement upsert,
             db_.prepare("INSERT INTO sweeps (run_id, bucket, bucket_identity) VALUES (?1, ?2, ?3) "
                         "ON CONFLICT (run_id, bucket) DO UPDATE SET bucket_identity = excluded.bucket_identity "
                         "WHERE sweeps.bucket_identity = ''"));
  upsert.bind_text(1, run_id).bind_text(2, bucket).bind_text(3, bucket_identity);
  TRY(run(upsert));
  TRY_ASSIGN(sqlite::Statement find, db_.prepare("SELECT id, bucket_identity FROM sweeps WHERE run_id = ?1 AND bucket = ?2"));
  find.bind_text(1, run_id).bind_text(2, bucket);
  TRY_ASSIGN(const bool found, find.step());
  if (!found) return Error{ErrorCode::internal, "the journal lost a row it had just written"};
  if (!bucket_identity.empty() && find.bytes(1) != bucket_identity) {
    return Error{ErrorCode::failed_precondition,
                 format("bucket '{}' is another physical bucket ('{}') than earlier in run {} ('{}')", bucket, bucket_identity,
                        run_id, find.bytes(1)),
                 "start a new run"};
  }
  return find.integer(0);
}

Result<std::vector<InDoubt>> JournalTable::in_doubt(std::string_view bucket_identity) {
  TRY(flush());
  TRY_ASSIGN(sqlite::Statement rows, db_.prepare(kInDoubt));
  rows.bind_text(1, bucket_identity).bind(2, to_column(clock_.now()));
  std::vector<InDoubt> result;
  for (;;) {
    TRY_ASSIGN(const bool found, rows.step());
    if (!found) return result;
    result.push_back({std::string(rows.bytes(0)), std::string(rows.bytes(1)), std::string(rows.bytes(2)), read_object(rows, 3),
                      time_from(rows.integer(8))});
  }
}

Result<std::vector<Deletion>> JournalTable::next_deletions(std::string_view run_id, std::int64_t& after, std::size_t limit) {
  TRY(flush());
  TRY_ASSIGN(sqlite::Statement rows,
             db_.prepare("SELECT j.id, s.bucket, j.key, j.size_bytes, j.last_modified, j.etag, j.version_id, j.outcome, j.error "
                         "FROM journal j JOIN sweeps s ON s.id = j.sweep "
                         "WHERE j.id > ?1 AND s.run_id = ?2 ORDER BY j.id LIMIT ?3"));
  rows.bind(1, after).bind_text(2, run_id).bind(3, static_cast<std::int64_t>(std::min(limit, kPage)));
  std::vector<Deletion> page;
  for (;;) {
    TRY_ASSIGN(const bool found, rows.step());
    if (!found) return page;
    const auto outcome = outcome_named(rows.bytes(7));
    if (!outcome) return Error{ErrorCode::corrupt, format("the journal holds an unknown outcome '{}'", rows.bytes(7))};
    after = rows.integer(0);
    page.push_back({std::string(rows.bytes(1)), read_object(rows, 2), *outcome, std::string(rows.bytes(8))});
  }
}

Result<sqlite::Statement*> JournalTable::statement(std::optional<sqlite::Statement>& cached, std::string_view sql) {
  if (!cached) {
    TRY_ASSIGN(cached, db_.prepare(sql));
  }
  return &*cached;
}

}  // namespace heimdall
