#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "io/sqlite.h"
#include "model/bucket_day.h"
#include "ports/history.h"
#include "state/run_query.h"
#include "state/state_directory.h"

namespace heimdall {

// The figures of a bucket's last complete scan, with what runs deleted since, and when its run began.
struct MeasuredFigures {
  BucketFigures figures;
  Timestamp at{};
};

// When runs of one command, begun in one way ("schedule nightly", "api", ...), began last, and when one last ended well.
struct Attempts {
  std::string command, trigger;
  Timestamp last_attempt{};
  std::optional<Timestamp> last_success;
};

// The history's half of the state database; see History for the promises. Not thread-safe.
class HistoryTables {
 public:
  HistoryTables(sqlite::Database& db, const Clock& clock) : db_(db), clock_(clock) {}

  Result<void> save_run(const RunReport& report);
  Result<std::optional<RunReport>> run(std::string_view run_id);
  Result<std::vector<RunReport>> runs(const RunQuery& query);
  Result<std::vector<std::string>> killed_runs();
  Result<std::vector<Attempts>> attempts();
  // See StateDatabase.
  Result<void> mark_interrupted_runs(const StateDirectory& directory);
  Result<std::optional<MeasuredFigures>> last_measured(std::string_view bucket);

  Result<std::optional<Baseline>> baseline(std::string_view bucket);
  Result<void> save_baseline(std::string_view bucket, const Baseline& baseline);

  Result<void> use_plan(std::string_view plan_digest, std::string_view run_id);
  Result<std::optional<std::string>> plan_user(std::string_view plan_digest);

  Result<std::optional<ClockAnchor>> clock_anchor();
  Result<void> save_clock_anchor(const ClockAnchor& anchor);

  Result<std::vector<BucketDay>> bucket_history(std::string_view bucket, Timestamp since);
  Result<std::optional<Timestamp>> schedule_mark(std::string_view schedule);
  Result<void> save_schedule_mark(std::string_view schedule, Timestamp due);

 private:
  sqlite::Database& db_;
  const Clock& clock_;
};

}  // namespace heimdall
