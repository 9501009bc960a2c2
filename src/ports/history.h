#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/run_report.h"

namespace heimdall {

// How the wall clock stood against the boot clock: a step between two runs shows as a difference.
struct ClockAnchor {
  std::string boot_id;
  BootTime boot_time;
  Timestamp wall{};
};

// What survives between runs, beside the journal. Thread-safe. Errors leave everything as it was.
class History {
 public:
  virtual ~History() = default;

  // A run is written when it starts (status running) and again when it ends: it replaces the one of the same id.
  virtual Result<void> save_run(const RunReport& report) = 0;
  virtual Result<std::optional<RunReport>> run(std::string_view run_id) = 0;
  // Newest first, at most `limit`.
  virtual Result<std::vector<RunReport>> runs(std::size_t limit) = 0;
  // The ids of all runs that may have deleted, are interrupted, and never said how they ended.
  virtual Result<std::vector<std::string>> killed_runs() = 0;

  virtual Result<std::optional<Baseline>> baseline(std::string_view bucket) = 0;
  virtual Result<void> save_baseline(std::string_view bucket, const Baseline& baseline) = 0;

  // Figures of the bucket's last complete scan, whatever became of its run, for stats and for expected totals.
  virtual Result<std::optional<BucketFigures>> last_figures(std::string_view bucket) = 0;

  // Marks a plan as used by `run_id`, durable when it returns. failed_precondition, naming the run and time, if it already was.
  virtual Result<void> use_plan(std::string_view plan_digest, std::string_view run_id) = 0;
  // The run that used it, if any.
  virtual Result<std::optional<std::string>> plan_user(std::string_view plan_digest) = 0;

  virtual Result<std::optional<ClockAnchor>> clock_anchor() = 0;
  virtual Result<void> save_clock_anchor(const ClockAnchor& anchor) = 0;
};

}  // namespace heimdall
