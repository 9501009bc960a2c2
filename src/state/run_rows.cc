// The tables `runs`, `run_buckets` and `run_sweeps`: the first half of HistoryTables.
#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "state/bucket_days.h"
#include "state/columns.h"
#include "state/history_tables.h"
#include "state/process_mark.h"
#include "state/transaction.h"

namespace heimdall {

namespace {

using Figure = std::pair<std::string_view, std::uint64_t BucketFigures::*>;

// Column and member; grace_ends, the only one that is no count, comes last in the table.
constexpr std::array<Figure, 23> kFigures = {{
    {"total_objects", &BucketFigures::total_objects},
    {"total_bytes", &BucketFigures::total_bytes},
    {"references", &BucketFigures::references},
    {"referenced_objects", &BucketFigures::referenced_objects},
    {"referenced_bytes", &BucketFigures::referenced_bytes},
    {"protected_objects", &BucketFigures::protected_objects},
    {"protected_bytes", &BucketFigures::protected_bytes},
    {"orphans_found", &BucketFigures::orphans_found},
    {"orphan_bytes", &BucketFigures::orphan_bytes},
    {"young_objects", &BucketFigures::young_objects},
    {"in_grace_objects", &BucketFigures::in_grace_objects},
    {"in_grace_bytes", &BucketFigures::in_grace_bytes},
    {"due_objects", &BucketFigures::due_objects},
    {"due_bytes", &BucketFigures::due_bytes},
    {"orphans_deleted", &BucketFigures::orphans_deleted},
    {"bytes_deleted", &BucketFigures::bytes_deleted},
    {"deletion_failures", &BucketFigures::deletion_failures},
    {"skipped_referenced", &BucketFigures::skipped_referenced},
    {"skipped_changed", &BucketFigures::skipped_changed},
    {"already_gone", &BucketFigures::already_gone},
    {"dangling_references", &BucketFigures::dangling_references},
    {"near_misses", &BucketFigures::near_misses},
    {"unmapped_references", &BucketFigures::unmapped_references},
}};
// A member that has no column would be lost without a word.
static_assert(sizeof(BucketFigures) ==
              kFigures.size() * sizeof(std::uint64_t) + sizeof(std::optional<Timestamp>));

constexpr std::string_view kRunColumns = "run_id, command, status, dry_run, started_at, completed_at, error, \"trigger\"";

// What a run had said of a bucket when it was last saved.
struct Saved {
  bool scanned = false;
  BucketFigures figures;
};
using SavedBuckets = std::map<std::string, Saved, std::less<>>;

// "total_objects", ..., "grace_ends", quoted: `references` is a word of SQL.
std::string figure_columns() {
  std::string columns;
  for (const auto& [name, member] : kFigures) columns += format("\"{}\", ", name);
  return columns + "grace_ends";
}

BucketFigures read_figures(const sqlite::Statement& row, int first) {
  BucketFigures figures;
  int column = first;
  for (const auto& [name, member] : kFigures) figures.*member = from_column(row.integer(column++));
  figures.grace_ends = time_of(row, column);
  return figures;
}

Result<SavedBuckets> saved_buckets(sqlite::Database& db, std::string_view run_id) {
  TRY_ASSIGN(sqlite::Statement rows,
             db.prepare(format("SELECT bucket, scanned, {} FROM run_buckets WHERE run_id = ?1", figure_columns())));
  rows.bind_text(1, run_id);
  SavedBuckets buckets;
  for (;;) {
    TRY_ASSIGN(const bool found, rows.step());
    if (!found) return buckets;
    buckets.emplace(rows.bytes(0), Saved{rows.integer(1) != 0, read_figures(rows, 2)});
  }
}

// A run that scans and then deletes is saved by both halves; only the first knows what it scanned.
bool was_scanned(const RunReport& report, const SavedBuckets& before, const std::string& bucket) {
  const auto saved = before.find(bucket);
  return report.scanned.contains(bucket) || (saved != before.end() && saved->second.scanned);
}

Result<void> add_buckets(sqlite::Database& db, const RunReport& report, const SavedBuckets& before) {
  std::string marks = "?1, ?2, ?3";
  for (std::size_t i = 0; i < kFigures.size() + 1; ++i) marks += format(", ?{}", i + 4);
  TRY_ASSIGN(sqlite::Statement insert, db.prepare(format("INSERT INTO run_buckets (run_id, bucket, scanned, {}) VALUES ({})",
                                                         figure_columns(), marks)));
  for (const auto& [bucket, figures] : report.buckets) {
    insert.bind_text(1, report.run_id).bind_text(2, bucket).bind(3, std::int64_t{was_scanned(report, before, bucket) ? 1 : 0});
    int index = 4;
    for (const auto& [name, member] : kFigures) insert.bind(index++, to_column(figures.*member));
    bind_time(insert, index, figures.grace_ends);
    TRY(insert.step());
    insert.reset();
  }
  return {};
}

Result<void> add_sweeps(sqlite::Database& db, const RunReport& report) {
  TRY_ASSIGN(sqlite::Statement insert,
             db.prepare("INSERT INTO run_sweeps (run_id, bucket, wall_ns, recheck_ns, compare_ns, journal_ns, delete_ns, workers) "
                        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"));
  for (const auto& [bucket, times] : report.sweeps) {
    insert.bind_text(1, report.run_id).bind_text(2, bucket);
    int index = 3;
    for (const auto part : {times.wall, times.recheck, times.compare, times.journal, times.remove}) {
      insert.bind(index++, std::int64_t{part.count()});
    }
    TRY(insert.bind(index, std::int64_t{times.workers}).step());
    insert.reset();
  }
  return {};
}

Result<std::map<std::string, SweepTimes>> read_sweeps(sqlite::Database& db, std::string_view run_id) {
  TRY_ASSIGN(sqlite::Statement rows, db.prepare("SELECT bucket, wall_ns, recheck_ns, compare_ns, journal_ns, delete_ns, workers "
                                                "FROM run_sweeps WHERE run_id = ?1"));
  rows.bind_text(1, run_id);
  std::map<std::string, SweepTimes> sweeps;
  for (;;) {
    TRY_ASSIGN(const bool found, rows.step());
    if (!found) return sweeps;
    SweepTimes& times = sweeps[std::string(rows.bytes(0))];
    int column = 1;
    for (auto* const part : {&times.wall, &times.recheck, &times.compare, &times.journal, &times.remove}) {
      *part = std::chrono::nanoseconds(rows.integer(column++));
    }
    times.workers = static_cast<unsigned>(rows.integer(column));
  }
}

Result<RunReport> read_run(sqlite::Database& db, const sqlite::Statement& row) {
  const auto status = run_status_named(row.bytes(2));
  if (!status) return Error{ErrorCode::corrupt, format("the history holds an unknown status '{}'", row.bytes(2))};
  RunReport report;
  report.run_id = row.bytes(0);
  report.command = row.bytes(1);
  report.status = *status;
  report.dry_run = row.integer(3) != 0;
  report.started_at = time_from(row.integer(4));
  report.completed_at = time_of(row, 5);
  report.error = row.bytes(6);
  report.trigger = row.bytes(7);
  TRY_ASSIGN(const SavedBuckets buckets, saved_buckets(db, report.run_id));
  for (const auto& [bucket, saved] : buckets) {
    report.buckets.emplace(bucket, saved.figures);
    if (saved.scanned) report.scanned.insert(bucket);
  }
  TRY_ASSIGN(report.sweeps, read_sweeps(db, report.run_id));
  return report;
}

// A point of the day for each bucket that the run scanned, once it has ended; and what it deleted since it was last saved.
Result<void> note_days(sqlite::Database& db, const RunReport& report, const SavedBuckets& before) {
  std::map<std::string_view, BucketFigures> now(report.buckets.begin(), report.buckets.end());
  for (const auto& [bucket, saved] : before) now.try_emplace(bucket);
  for (const auto& [name, figures] : now) {
    const std::string bucket(name);
    const auto saved = before.find(bucket);
    const BucketFigures old = saved == before.end() ? BucketFigures{} : saved->second.figures;
    const bool ended = report.status != RunStatus::running && report.buckets.contains(bucket);
    if (ended && was_scanned(report, before, bucket)) TRY(note_scan(db, bucket, report.started_at, figures));
    const DeletedMore more{to_column(figures.orphans_deleted - old.orphans_deleted), to_column(figures.bytes_deleted - old.bytes_deleted)};
    TRY(note_deletions(db, bucket, report.started_at, more, figures));
  }
  return {};
}

}  // namespace

Result<void> HistoryTables::save_run(const RunReport& report) {
  TRY_ASSIGN(Transaction transaction, Transaction::begin(db_));
  TRY_ASSIGN(const SavedBuckets before, saved_buckets(db_, report.run_id));
  // interrupted_at stays: it bounds when the requests of the run left, whatever recover makes of it.
  TRY_ASSIGN(sqlite::Statement upsert,
             db_.prepare(format("INSERT INTO runs ({}, pid, process_start, boot_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) "
                                "ON CONFLICT (run_id) DO UPDATE SET command = excluded.command, status = excluded.status, "
                                "dry_run = excluded.dry_run, started_at = excluded.started_at, completed_at = excluded.completed_at, "
                                "error = excluded.error, \"trigger\" = excluded.\"trigger\", pid = excluded.pid, "
                                "process_start = excluded.process_start, "
                                "boot_id = excluded.boot_id",
                                kRunColumns)));
  const ProcessMark process = this_process();
  upsert.bind_text(1, report.run_id).bind_text(2, report.command).bind_text(3, to_string(report.status));
  upsert.bind(4, std::int64_t{report.dry_run ? 1 : 0}).bind(5, to_column(report.started_at));
  bind_time(upsert, 6, report.completed_at);
  upsert.bind_text(7, report.error).bind_text(8, report.trigger);
  upsert.bind(9, process.pid).bind(10, process.start_ticks).bind_text(11, process.boot_id);
  TRY(upsert.step());
  for (const char* table : {"run_buckets", "run_sweeps"}) {
    TRY_ASSIGN(sqlite::Statement clear, db_.prepare(format("DELETE FROM {} WHERE run_id = ?1", table)));
    TRY(clear.bind_text(1, report.run_id).step());
  }
  TRY(add_buckets(db_, report, before));
  TRY(add_sweeps(db_, report));
  TRY(note_days(db_, report, before));
  return transaction.commit();
}

Result<std::optional<RunReport>> HistoryTables::run(std::string_view run_id) {
  TRY_ASSIGN(sqlite::Statement row, db_.prepare(format("SELECT {} FROM runs WHERE run_id = ?1", kRunColumns)));
  TRY_ASSIGN(const bool found, row.bind_text(1, run_id).step());
  if (!found) return std::optional<RunReport>();
  TRY_ASSIGN(RunReport report, read_run(db_, row));
  return std::optional(std::move(report));
}

Result<std::vector<RunReport>> HistoryTables::runs(const RunQuery& query) {
  // One statement for all of them: what was not asked for is empty and holds.
  TRY_ASSIGN(sqlite::Statement rows,
             db_.prepare(format("SELECT {} FROM runs WHERE (?2 = '' OR command = ?2) AND (?3 = '' OR status = ?3) "
                                "AND (?4 = '' OR EXISTS (SELECT 1 FROM run_buckets b WHERE b.run_id = runs.run_id AND b.bucket = ?4)) "
                                "AND (?5 = '' OR (started_at, run_id) < (?6, ?5)) "
                                "ORDER BY started_at DESC, run_id DESC LIMIT ?1",
                                kRunColumns)));
  rows.bind(1, static_cast<std::int64_t>(std::min<std::size_t>(query.limit, INT64_MAX))).bind_text(2, query.command);
  rows.bind_text(3, query.status ? to_string(*query.status) : "").bind_text(4, query.bucket).bind_text(5, query.before);
  if (!query.before.empty()) {
    TRY_ASSIGN(sqlite::Statement page, db_.prepare("SELECT started_at FROM runs WHERE run_id = ?1"));
    TRY_ASSIGN(const bool known, page.bind_text(1, query.before).step());
    if (!known) {
      return Error{ErrorCode::not_found, format("there is no run '{}' to go on from", printable(query.before)), "begin with the newest run again"};
    }
    rows.bind(6, page.integer(0));
  }
  std::vector<RunReport> result;
  for (;;) {
    TRY_ASSIGN(const bool found, rows.step());
    if (!found) return result;
    TRY_ASSIGN(RunReport report, read_run(db_, rows));
    result.push_back(std::move(report));
  }
}

Result<std::vector<std::string>> HistoryTables::killed_runs() {
  TRY_ASSIGN(sqlite::Statement rows, db_.prepare("SELECT run_id FROM runs WHERE status = 'interrupted' AND completed_at IS NULL "
                                                 "AND command IN ('apply', 'cleanup')"));
  std::vector<std::string> killed;
  for (;;) {
    TRY_ASSIGN(const bool found, rows.step());
    if (!found) return killed;
    killed.emplace_back(rows.bytes(0));
  }
}

Result<std::vector<Attempts>> HistoryTables::attempts() {
  TRY_ASSIGN(sqlite::Statement rows, db_.prepare("SELECT command, \"trigger\", MAX(started_at), MAX(CASE status WHEN 'success' THEN completed_at END) "
                                                 "FROM runs GROUP BY command, \"trigger\""));
  std::vector<Attempts> all;
  for (;;) {
    TRY_ASSIGN(const bool found, rows.step());
    if (!found) return all;
    all.push_back({std::string(rows.bytes(0)), std::string(rows.bytes(1)), time_from(rows.integer(2)), time_of(rows, 3)});
  }
}

Result<void> HistoryTables::mark_interrupted_runs(const StateDirectory& directory) {
  std::vector<std::pair<std::string, ProcessMark>> dead;
  {
    TRY_ASSIGN(sqlite::Statement rows, db_.prepare("SELECT run_id, pid, process_start, boot_id FROM runs WHERE status = 'running'"));
    for (;;) {
      TRY_ASSIGN(const bool found, rows.step());
      if (!found) break;
      ProcessMark process{rows.integer(1), rows.integer(2), std::string(rows.bytes(3))};
      if (!directory.is_running(process)) dead.emplace_back(rows.bytes(0), std::move(process));
    }
  }
  if (dead.empty()) return {};
  TRY_ASSIGN(Transaction transaction, Transaction::begin(db_));
  TRY_ASSIGN(sqlite::Statement mark,
             db_.prepare("UPDATE runs SET status = 'interrupted', interrupted_at = ?2, error = CASE error WHEN '' THEN ?3 ELSE error END "
                         "WHERE run_id = ?1 AND status = 'running' AND pid = ?4 AND process_start = ?5"));
  for (const auto& [run_id, process] : dead) {
    mark.bind_text(1, run_id).bind(2, to_column(clock_.now()));
    mark.bind_text(3, "its process ended before the run did (it was killed, or the machine stopped)");
    TRY(mark.bind(4, process.pid).bind(5, process.start_ticks).step());
    mark.reset();
  }
  return transaction.commit();
}

Result<std::optional<MeasuredFigures>> HistoryTables::last_measured(std::string_view bucket) {
  TRY_ASSIGN(sqlite::Statement row,
             db_.prepare(format("SELECT started_at, run_id, {} FROM run_buckets JOIN runs USING (run_id) WHERE bucket = ?1 AND scanned = 1 "
                                "ORDER BY started_at DESC, run_id DESC LIMIT 1",
                                figure_columns())));
  TRY_ASSIGN(const bool found, row.bind_text(1, bucket).step());
  if (!found) return std::optional<MeasuredFigures>();
  MeasuredFigures measured{read_figures(row, 2), time_from(row.integer(0))};
  // Runs behind it that scanned nothing: a plan that was carried out, or a scan that lacked a range.
  TRY_ASSIGN(sqlite::Statement later, db_.prepare("SELECT SUM(orphans_deleted), SUM(bytes_deleted) FROM run_buckets JOIN runs USING (run_id) "
                                                  "WHERE bucket = ?1 AND (started_at, run_id) > (?2, ?3)"));
  TRY(later.bind_text(1, bucket).bind(2, row.integer(0)).bind_text(3, row.bytes(1)).step());
  measured.figures.orphans_deleted += from_column(later.integer(0));
  measured.figures.bytes_deleted += from_column(later.integer(1));
  return std::optional(measured);
}

}  // namespace heimdall
