#include "state/schema.h"

#include <array>

#include "base/crash_point.h"
#include "base/format.h"
#include "state/transaction.h"

namespace heimdall {

namespace {

constexpr std::int64_t kApplicationId = 0x484D5354;  // "HMST"

// docs/formats/state-database.md explains each table. Times are nanoseconds since 1970, UTC.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE runs (
  run_id         TEXT PRIMARY KEY,
  command        TEXT NOT NULL,
  status         TEXT NOT NULL,
  dry_run        INTEGER NOT NULL,
  started_at     INTEGER NOT NULL,
  completed_at   INTEGER,
  error          TEXT NOT NULL,
  pid            INTEGER NOT NULL,
  process_start  INTEGER NOT NULL,
  boot_id        TEXT NOT NULL,
  interrupted_at INTEGER
);
CREATE INDEX runs_by_time ON runs (started_at);

CREATE TABLE run_buckets (
  run_id              TEXT NOT NULL,
  bucket              TEXT NOT NULL,
  total_objects       INTEGER NOT NULL,
  total_bytes         INTEGER NOT NULL,
  "references"        INTEGER NOT NULL,
  referenced_objects  INTEGER NOT NULL,
  referenced_bytes    INTEGER NOT NULL,
  protected_objects   INTEGER NOT NULL,
  protected_bytes     INTEGER NOT NULL,
  orphans_found       INTEGER NOT NULL,
  orphan_bytes        INTEGER NOT NULL,
  young_objects       INTEGER NOT NULL,
  in_grace_objects    INTEGER NOT NULL,
  in_grace_bytes      INTEGER NOT NULL,
  due_objects         INTEGER NOT NULL,
  due_bytes           INTEGER NOT NULL,
  orphans_deleted     INTEGER NOT NULL,
  bytes_deleted       INTEGER NOT NULL,
  deletion_failures   INTEGER NOT NULL,
  skipped_referenced  INTEGER NOT NULL,
  skipped_changed     INTEGER NOT NULL,
  already_gone        INTEGER NOT NULL,
  dangling_references INTEGER NOT NULL,
  near_misses         INTEGER NOT NULL,
  unmapped_references INTEGER NOT NULL,
  grace_ends          INTEGER,
  PRIMARY KEY (run_id, bucket)
) WITHOUT ROWID;
CREATE INDEX run_buckets_by_bucket ON run_buckets (bucket);

CREATE TABLE sweeps (
  id              INTEGER PRIMARY KEY,
  run_id          TEXT NOT NULL,
  bucket          TEXT NOT NULL,
  bucket_identity TEXT NOT NULL,
  UNIQUE (run_id, bucket)
);

CREATE TABLE journal (
  id            INTEGER PRIMARY KEY,
  sweep         INTEGER NOT NULL,
  key           BLOB NOT NULL,
  size_bytes    INTEGER NOT NULL,
  last_modified INTEGER,
  etag          TEXT NOT NULL,
  version_id    TEXT NOT NULL,
  intended_at   INTEGER,
  recorded_at   INTEGER,
  outcome       TEXT NOT NULL,
  error         TEXT NOT NULL
);
CREATE INDEX journal_by_key ON journal (sweep, key);
CREATE INDEX journal_in_doubt ON journal (sweep) WHERE outcome = 'in_doubt';

CREATE TABLE baselines (
  bucket          TEXT PRIMARY KEY,
  bucket_identity TEXT NOT NULL,
  recorded_at     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE baseline_sources (
  bucket            TEXT NOT NULL,
  place             INTEGER NOT NULL,
  name              TEXT NOT NULL,
  database          TEXT NOT NULL,
  relations         TEXT NOT NULL,
  database_position INTEGER NOT NULL,
  row_count         INTEGER NOT NULL,
  PRIMARY KEY (bucket, place)
) WITHOUT ROWID;

CREATE TABLE used_plans (
  digest  TEXT PRIMARY KEY,
  run_id  TEXT NOT NULL,
  used_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE clock_anchor (
  id        INTEGER PRIMARY KEY CHECK (id = 1),
  boot_id   TEXT NOT NULL,
  boot_time INTEGER NOT NULL,
  wall      INTEGER NOT NULL
);

-- For people with the sqlite3 shell.
CREATE VIEW deletions AS
  SELECT run_id, bucket, CAST(key AS TEXT) AS key, size_bytes, outcome, error,
         datetime(intended_at / 1000000000, 'unixepoch') AS intended, datetime(recorded_at / 1000000000, 'unixepoch') AS recorded
    FROM journal JOIN sweeps ON sweeps.id = journal.sweep;
)sql";

// Version 1 did not say which scans were complete: those that succeeded were. Their days, and what was deleted on these, are taken from the runs.
constexpr const char* kVersion2 = R"sql(
ALTER TABLE runs ADD COLUMN "trigger" TEXT NOT NULL DEFAULT '';
ALTER TABLE run_buckets ADD COLUMN scanned INTEGER NOT NULL DEFAULT 0;

CREATE TABLE run_sweeps (
  run_id     TEXT NOT NULL,
  bucket     TEXT NOT NULL,
  wall_ns    INTEGER NOT NULL,
  recheck_ns INTEGER NOT NULL,
  compare_ns INTEGER NOT NULL,
  journal_ns INTEGER NOT NULL,
  delete_ns  INTEGER NOT NULL,
  workers    INTEGER NOT NULL,
  PRIMARY KEY (run_id, bucket)
) WITHOUT ROWID;

CREATE TABLE bucket_days (
  bucket             TEXT NOT NULL,
  day                INTEGER NOT NULL,
  measured_at        INTEGER NOT NULL,
  total_objects      INTEGER NOT NULL,
  total_bytes        INTEGER NOT NULL,
  referenced_objects INTEGER NOT NULL,
  referenced_bytes   INTEGER NOT NULL,
  orphans_found      INTEGER NOT NULL,
  orphan_bytes       INTEGER NOT NULL,
  due_objects        INTEGER NOT NULL,
  due_bytes          INTEGER NOT NULL,
  orphans_deleted    INTEGER NOT NULL,
  bytes_deleted      INTEGER NOT NULL,
  PRIMARY KEY (bucket, day)
) WITHOUT ROWID;

CREATE TABLE schedule_marks (
  schedule TEXT PRIMARY KEY,
  due      INTEGER NOT NULL
) WITHOUT ROWID;

UPDATE run_buckets SET scanned = 1
  WHERE run_id IN (SELECT run_id FROM runs WHERE status = 'success' AND command IN ('scan', 'plan', 'stats'));
REPLACE INTO bucket_days
  SELECT bucket, started_at / 86400000000000, started_at, total_objects, total_bytes, referenced_objects, referenced_bytes,
         orphans_found, orphan_bytes, due_objects, due_bytes, 0, 0
    FROM run_buckets JOIN runs USING (run_id) WHERE scanned = 1 ORDER BY started_at, run_id;
UPDATE bucket_days SET orphans_deleted = sums.objects, bytes_deleted = sums.bytes
  FROM (SELECT bucket, started_at / 86400000000000 AS day, sum(orphans_deleted) AS objects, sum(bytes_deleted) AS bytes
          FROM run_buckets JOIN runs USING (run_id) GROUP BY 1, 2) AS sums
  WHERE bucket_days.bucket = sums.bucket AND bucket_days.day = sums.day;
)sql";

// What makes each version of the one before; a fresh file goes through all of them.
constexpr std::array kSteps = {kVersion1, kVersion2};
static_assert(kSteps.size() == kStateSchemaVersion);

Result<std::int64_t> version_of(sqlite::Database& db) {
  TRY_ASSIGN(const std::int64_t version, integer_of(db, "PRAGMA user_version"));
  TRY_ASSIGN(const std::int64_t application, integer_of(db, "PRAGMA application_id"));
  TRY_ASSIGN(const std::int64_t tables, integer_of(db, "SELECT count(*) FROM sqlite_schema"));
  const bool fresh = version == 0 && application == 0 && tables == 0;
  if (!fresh && application != kApplicationId) {
    return Error{ErrorCode::invalid_argument, "it is the database of another program",
                 "name another state directory with --state"};
  }
  if (version > kStateSchemaVersion) {
    return Error{ErrorCode::failed_precondition,
                 format("a newer heimdall-storage wrote it (format {}, this program knows up to {})", version,
                        kStateSchemaVersion),
                 "run that newer version, or name another state directory with --state (grace then starts again)"};
  }
  return version;
}

}  // namespace

Result<std::int64_t> integer_of(sqlite::Database& db, std::string_view sql) {
  TRY_ASSIGN(sqlite::Statement statement, db.prepare(sql));
  TRY_ASSIGN(const bool found, statement.step());
  if (!found) return Error{ErrorCode::internal, format("no answer to '{}'", sql)};
  return statement.integer(0);
}

Result<void> prepare_schema(sqlite::Database& db) {
  TRY(version_of(db));
  {
    TRY_ASSIGN(sqlite::Statement mode, db.prepare("PRAGMA journal_mode = WAL"));
    TRY_ASSIGN(const bool answered, mode.step());
    if (!answered || mode.bytes(0) != "wal") {
      return Error{ErrorCode::invalid_argument, "its file system cannot do write-ahead logging",
                   "put the state directory on a local disk"};
    }
  }
  // FULL: a commit returns only after its fsync. This is what makes an intent durable (invariant 6).
  TRY(db.execute("PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864; PRAGMA trusted_schema = OFF"));
  TRY_ASSIGN(const std::int64_t now, version_of(db));
  if (now == kStateSchemaVersion) return {};
  TRY_ASSIGN(Transaction transaction, Transaction::begin(db));
  TRY_ASSIGN(const std::int64_t version, version_of(db));  // another process may have been faster
  if (version == kStateSchemaVersion) return {};
  for (auto step = static_cast<std::size_t>(version); step < kSteps.size(); ++step) TRY(db.execute(kSteps.at(step)));
  TRY(db.execute(format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplicationId, kStateSchemaVersion)));
  crash_point("state.schema.before_commit");
  return transaction.commit();
}

}  // namespace heimdall
