#include "state/bucket_days.h"

#include <chrono>
#include <utility>

#include "base/format.h"
#include "state/columns.h"

namespace heimdall {

namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::sys_days;

constexpr days kDaily{90};
constexpr days kKept{2 * 365};

// Day 0, 1970-01-01, is a Thursday: the weeks of SQL, (day + 3) / 7, begin on Mondays.
constexpr std::string_view kColumns =
    "day, measured_at, total_objects, total_bytes, referenced_objects, referenced_bytes, orphans_found, orphan_bytes, due_objects, due_bytes, "
    "orphans_deleted, bytes_deleted";

std::int64_t day_column(Timestamp time) { return floor<days>(time).time_since_epoch().count(); }

// The first day that is kept daily: a Monday, so that a week is thinned as a whole.
std::int64_t first_daily(Timestamp now) {
  const std::int64_t day = (floor<days>(now) - kDaily).time_since_epoch().count();
  return (day + 3) / 7 * 7 - 3;
}
std::int64_t first_kept(Timestamp now) { return (floor<days>(now) - kKept).time_since_epoch().count(); }

// Parameters 1 to 11: bucket and the columns up to due_bytes.
void bind_point(sqlite::Statement& statement, std::string_view bucket, std::int64_t day, Timestamp measured_at, const BucketFigures& figures) {
  statement.bind_text(1, bucket).bind(2, day).bind(3, to_column(measured_at));
  int index = 4;
  for (const std::uint64_t value : {figures.total_objects, figures.total_bytes, figures.referenced_objects, figures.referenced_bytes,
                                    figures.orphans_found, figures.orphan_bytes, figures.due_objects, figures.due_bytes}) {
    statement.bind(index++, to_column(value));
  }
}

BucketDay read_point(const sqlite::Statement& row) {
  BucketDay point;
  point.day = sys_days(days(row.integer(0)));
  point.measured_at = time_from(row.integer(1));
  int column = 2;
  for (std::uint64_t* const value : {&point.total_objects, &point.total_bytes, &point.referenced_objects, &point.referenced_bytes,
                                     &point.orphans_found, &point.orphan_bytes, &point.due_objects, &point.due_bytes,
                                     &point.orphans_deleted, &point.bytes_deleted}) {
    *value = from_column(row.integer(column++));
  }
  return point;
}

}  // namespace

Result<void> note_scan(sqlite::Database& db, std::string_view bucket, Timestamp measured_at, const BucketFigures& figures) {
  TRY_ASSIGN(sqlite::Statement upsert,
             db.prepare(format("INSERT INTO bucket_days (bucket, {}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, 0) "
                               "ON CONFLICT (bucket, day) DO UPDATE SET measured_at = excluded.measured_at, "
                               "total_objects = excluded.total_objects, total_bytes = excluded.total_bytes, "
                               "referenced_objects = excluded.referenced_objects, referenced_bytes = excluded.referenced_bytes, "
                               "orphans_found = excluded.orphans_found, orphan_bytes = excluded.orphan_bytes, "
                               "due_objects = excluded.due_objects, due_bytes = excluded.due_bytes "
                               "WHERE excluded.measured_at >= bucket_days.measured_at",
                               kColumns)));
  bind_point(upsert, bucket, day_column(measured_at), measured_at, figures);
  TRY(upsert.step());
  return {};
}

Result<void> note_deletions(sqlite::Database& db, std::string_view bucket, Timestamp run_started, const DeletedMore& more,
                            const BucketFigures& carried) {
  if (more.objects == 0 && more.bytes == 0) return {};
  const std::int64_t day = day_column(run_started);
  const auto add = [&]() -> Result<bool> {
    TRY_ASSIGN(sqlite::Statement update, db.prepare("UPDATE bucket_days SET orphans_deleted = max(0, orphans_deleted + ?3), "
                                                    "bytes_deleted = max(0, bytes_deleted + ?4) WHERE bucket = ?1 AND day = ?2"));
    TRY(update.bind_text(1, bucket).bind(2, day).bind(3, more.objects).bind(4, more.bytes).step());
    return db.changes() > 0;
  };
  TRY_ASSIGN(const bool added, add());
  if (added || more.objects < 0 || more.bytes < 0) return {};
  {
    TRY_ASSIGN(sqlite::Statement repeat,
               db.prepare(format("INSERT INTO bucket_days (bucket, {}) SELECT bucket, ?2, measured_at, total_objects, total_bytes, "
                                 "referenced_objects, referenced_bytes, orphans_found, orphan_bytes, due_objects, due_bytes, 0, 0 "
                                 "FROM bucket_days WHERE bucket = ?1 AND day < ?2 ORDER BY day DESC LIMIT 1",
                                 kColumns)));
    TRY(repeat.bind_text(1, bucket).bind(2, day).step());
  }
  if (db.changes() == 0) TRY(note_scan(db, bucket, run_started, carried));
  TRY(add());
  return {};
}

Result<std::vector<BucketDay>> read_bucket_days(sqlite::Database& db, std::string_view bucket, Timestamp since) {
  TRY_ASSIGN(sqlite::Statement rows,
             db.prepare(format("SELECT {} FROM bucket_days WHERE bucket = ?1 AND day >= ?2 ORDER BY day", kColumns)));
  rows.bind_text(1, bucket).bind(2, day_column(since));
  std::vector<BucketDay> points;
  for (;;) {
    TRY_ASSIGN(const bool found, rows.step());
    if (!found) return points;
    points.push_back(read_point(rows));
  }
}

Result<std::vector<std::string>> buckets_to_thin(sqlite::Database& db, Timestamp now) {
  TRY_ASSIGN(sqlite::Statement rows,
             db.prepare("SELECT bucket FROM bucket_days WHERE day < ?1 GROUP BY bucket, (day + 3) / 7 HAVING count(*) > 1 "
                        "UNION SELECT bucket FROM bucket_days WHERE day < ?2"));
  rows.bind(1, first_daily(now)).bind(2, first_kept(now));
  std::vector<std::string> buckets;
  for (;;) {
    TRY_ASSIGN(const bool found, rows.step());
    if (!found) return buckets;
    buckets.emplace_back(rows.bytes(0));
  }
}

Result<std::uint64_t> thin_bucket_days(sqlite::Database& db, std::string_view bucket, Timestamp now) {
  {
    TRY_ASSIGN(sqlite::Statement add_up,
               db.prepare("WITH weeks AS (SELECT max(day) AS last, sum(orphans_deleted) AS objects, sum(bytes_deleted) AS bytes "
                          "FROM bucket_days WHERE bucket = ?1 AND day < ?2 GROUP BY (day + 3) / 7 HAVING count(*) > 1) "
                          "UPDATE bucket_days SET orphans_deleted = weeks.objects, bytes_deleted = weeks.bytes "
                          "FROM weeks WHERE bucket_days.bucket = ?1 AND bucket_days.day = weeks.last"));
    TRY(add_up.bind_text(1, bucket).bind(2, first_daily(now)).step());
  }
  TRY_ASSIGN(sqlite::Statement remove,
             db.prepare("DELETE FROM bucket_days WHERE bucket = ?1 AND (day < ?3 OR day < ?2 AND EXISTS "
                        "(SELECT 1 FROM bucket_days AS later WHERE later.bucket = ?1 AND later.day > bucket_days.day "
                        " AND (later.day + 3) / 7 = (bucket_days.day + 3) / 7))"));
  TRY(remove.bind_text(1, bucket).bind(2, first_daily(now)).bind(3, first_kept(now)).step());
  return static_cast<std::uint64_t>(db.changes());
}

}  // namespace heimdall
