#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "io/sqlite.h"
#include "ports/history.h"

namespace heimdall {

// The history's half of the state database; see History for the promises. Not thread-safe.
class HistoryTables {
 public:
  HistoryTables(sqlite::Database& db, const Clock& clock) : db_(db), clock_(clock) {}

  Result<void> save_run(const RunReport& report);
  Result<std::optional<RunReport>> run(std::string_view run_id);
  Result<std::vector<RunReport>> runs(std::size_t limit);
  // See StateDatabase.
  Result<void> mark_interrupted_runs();
  Result<std::optional<BucketFigures>> last_figures(std::string_view bucket);

  Result<std::optional<Baseline>> baseline(std::string_view bucket);
  Result<void> save_baseline(std::string_view bucket, const Baseline& baseline);

  Result<void> use_plan(std::string_view plan_digest, std::string_view run_id);
  Result<std::optional<std::string>> plan_user(std::string_view plan_digest);

  Result<std::optional<ClockAnchor>> clock_anchor();
  Result<void> save_clock_anchor(const ClockAnchor& anchor);

 private:
  sqlite::Database& db_;
  const Clock& clock_;
};

}  // namespace heimdall
