#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "io/sqlite.h"
#include "model/bucket_day.h"
#include "model/run_report.h"

namespace heimdall {

// The table `bucket_days`. The calls that write belong into a transaction of the caller's. Not thread-safe.

// The figures of a complete scan that began at `measured_at`, as those of its day, unless a later scan of the day is there.
Result<void> note_scan(sqlite::Database& db, std::string_view bucket, Timestamp measured_at, const BucketFigures& figures);

// How what one run deleted in a bucket has grown since it was last saved; less than zero where a recovery took something back.
struct DeletedMore {
  std::int64_t objects = 0;
  std::int64_t bytes = 0;
};
// Adds it to the day on which the run began. A day without a scan repeats the figures of the last one before it, or those that the run carries.
Result<void> note_deletions(sqlite::Database& db, std::string_view bucket, Timestamp run_started, const DeletedMore& more,
                            const BucketFigures& carried);

// Oldest first, from the day of `since` on.
Result<std::vector<BucketDay>> read_bucket_days(sqlite::Database& db, std::string_view bucket, Timestamp since);

// Buckets of which thin_bucket_days() would remove a point.
Result<std::vector<std::string>> buckets_to_thin(sqlite::Database& db, Timestamp now);
// Leaves of weeks (Monday to Sunday) that ended more than 90 days ago the last point, with all that was deleted in the week, and nothing older
// than two years. How many points went.
Result<std::uint64_t> thin_bucket_days(sqlite::Database& db, std::string_view bucket, Timestamp now);

}  // namespace heimdall
