#include "state/history_tables.h"

#include "base/format.h"
#include "base/text.h"
#include "state/bucket_days.h"
#include "state/columns.h"
#include "state/transaction.h"

// Runs and their figures: run_rows.cc.

namespace heimdall {

namespace {

Result<std::vector<Baseline::Source>> read_sources(sqlite::Database& db, std::string_view bucket) {
  TRY_ASSIGN(sqlite::Statement rows,
             db.prepare("SELECT name, database, relations, database_position, row_count FROM baseline_sources "
                        "WHERE bucket = ?1 ORDER BY place"));
  rows.bind_text(1, bucket);
  std::vector<Baseline::Source> sources;
  for (;;) {
    TRY_ASSIGN(const bool found, rows.step());
    if (!found) return sources;
    sources.push_back({std::string(rows.bytes(0)),
                       {std::string(rows.bytes(1)), std::string(rows.bytes(2)), from_column(rows.integer(3))},
                       from_column(rows.integer(4))});
  }
}

Result<void> add_sources(sqlite::Database& db, std::string_view bucket, const std::vector<Baseline::Source>& sources) {
  TRY_ASSIGN(sqlite::Statement insert, db.prepare("INSERT INTO baseline_sources (bucket, place, name, database, relations, "
                                                  "database_position, row_count) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
  std::int64_t place = 0;
  for (const Baseline::Source& source : sources) {
    insert.bind_text(1, bucket).bind(2, place++).bind_text(3, source.name);
    insert.bind_text(4, source.identity.database).bind_text(5, source.identity.relations);
    TRY(insert.bind(6, to_column(source.identity.position)).bind(7, to_column(source.rows)).step());
    insert.reset();
  }
  return {};
}

}  // namespace

Result<std::optional<Baseline>> HistoryTables::baseline(std::string_view bucket) {
  TRY_ASSIGN(sqlite::Statement row, db_.prepare("SELECT bucket_identity, recorded_at FROM baselines WHERE bucket = ?1"));
  TRY_ASSIGN(const bool found, row.bind_text(1, bucket).step());
  if (!found) return std::optional<Baseline>();
  TRY_ASSIGN(auto sources, read_sources(db_, bucket));
  return std::optional(Baseline{std::string(row.bytes(0)), std::move(sources), time_from(row.integer(1))});
}

Result<void> HistoryTables::save_baseline(std::string_view bucket, const Baseline& baseline) {
  TRY_ASSIGN(Transaction transaction, Transaction::begin(db_));
  TRY_ASSIGN(sqlite::Statement replace,
             db_.prepare("REPLACE INTO baselines (bucket, bucket_identity, recorded_at) VALUES (?1, ?2, ?3)"));
  replace.bind_text(1, bucket).bind_text(2, baseline.bucket_identity);
  TRY(replace.bind(3, to_column(baseline.recorded_at)).step());
  TRY_ASSIGN(sqlite::Statement clear, db_.prepare("DELETE FROM baseline_sources WHERE bucket = ?1"));
  TRY(clear.bind_text(1, bucket).step());
  TRY(add_sources(db_, bucket, baseline.sources));
  return transaction.commit();
}

Result<void> HistoryTables::use_plan(std::string_view plan_digest, std::string_view run_id) {
  TRY_ASSIGN(Transaction transaction, Transaction::begin(db_));
  TRY_ASSIGN(sqlite::Statement row, db_.prepare("SELECT run_id, used_at FROM used_plans WHERE digest = ?1"));
  TRY_ASSIGN(const bool used, row.bind_text(1, plan_digest).step());
  if (used) {
    return Error{ErrorCode::failed_precondition,
                 format("the plan was already used by run {} at {}", row.bytes(0), rfc3339(time_from(row.integer(1)))),
                 "make a new one with `plan`: a plan works once"};
  }
  TRY_ASSIGN(sqlite::Statement insert, db_.prepare("INSERT INTO used_plans (digest, run_id, used_at) VALUES (?1, ?2, ?3)"));
  TRY(insert.bind_text(1, plan_digest).bind_text(2, run_id).bind(3, to_column(clock_.now())).step());
  return transaction.commit();
}

Result<std::optional<std::string>> HistoryTables::plan_user(std::string_view plan_digest) {
  TRY_ASSIGN(sqlite::Statement row, db_.prepare("SELECT run_id FROM used_plans WHERE digest = ?1"));
  TRY_ASSIGN(const bool found, row.bind_text(1, plan_digest).step());
  if (!found) return std::optional<std::string>();
  return std::optional(std::string(row.bytes(0)));
}

Result<std::optional<ClockAnchor>> HistoryTables::clock_anchor() {
  TRY_ASSIGN(sqlite::Statement row, db_.prepare("SELECT boot_id, boot_time, wall FROM clock_anchor"));
  TRY_ASSIGN(const bool found, row.step());
  if (!found) return std::optional<ClockAnchor>();
  return std::optional(ClockAnchor{
      std::string(row.bytes(0)), BootTime{std::chrono::nanoseconds(row.integer(1))}, time_from(row.integer(2))});
}

Result<void> HistoryTables::save_clock_anchor(const ClockAnchor& anchor) {
  TRY_ASSIGN(sqlite::Statement replace,
             db_.prepare("REPLACE INTO clock_anchor (id, boot_id, boot_time, wall) VALUES (1, ?1, ?2, ?3)"));
  replace.bind_text(1, anchor.boot_id).bind(2, std::int64_t{anchor.boot_time.since_boot.count()});
  TRY(replace.bind(3, to_column(anchor.wall)).step());
  return {};
}

Result<std::vector<BucketDay>> HistoryTables::bucket_history(std::string_view bucket, Timestamp since) {
  return read_bucket_days(db_, bucket, since);
}

Result<std::optional<Timestamp>> HistoryTables::schedule_mark(std::string_view schedule) {
  TRY_ASSIGN(sqlite::Statement row, db_.prepare("SELECT due FROM schedule_marks WHERE schedule = ?1"));
  TRY_ASSIGN(const bool found, row.bind_text(1, schedule).step());
  if (!found) return std::optional<Timestamp>();
  return std::optional(time_from(row.integer(0)));
}

Result<void> HistoryTables::save_schedule_mark(std::string_view schedule, Timestamp due) {
  TRY_ASSIGN(sqlite::Statement replace, db_.prepare("REPLACE INTO schedule_marks (schedule, due) VALUES (?1, ?2)"));
  TRY(replace.bind_text(1, schedule).bind(2, to_column(due)).step());
  return {};
}

}  // namespace heimdall
