#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/config/config.h"
#include "app/doctor.h"
#include "base/error.h"
#include "cli/options.h"
#include "model/bucket_day.h"
#include "model/guard.h"
#include "model/health.h"
#include "model/run_report.h"
#include "pipeline/dangling.h"
#include "pipeline/explain.h"
#include "pipeline/plan.h"

namespace heimdall {

// One of the next times of a schedule.
struct UpcomingRun {
  std::string schedule;
  ScheduledTask task = ScheduledTask::stats;
  Timestamp at{};
  std::string local, time_zone;  // `at` as the clocks of the schedule's zone show it
};

// The results of a command, on standard output: as text for people or as JSON Lines (docs/json.md). Not thread-safe.
class Output {
 public:
  virtual ~Output() = default;

  virtual void begin() = 0;  // the version line
  virtual void refusal(const Refusal& refusal) = 0;
  virtual void overridden(const Refusal& refusal) = 0;
  virtual void unlisted(const RangeFailure& failure) = 0;
  virtual void plan(const Plan& plan) = 0;  // its head, for show
  virtual void candidate(const BucketPlan& bucket, const Candidate& candidate) = 0;
  virtual void deletion(const Deletion& deletion) = 0;
  virtual void explanation(const Explanation& explanation) = 0;
  virtual void check(const Check& check) = 0;
  virtual void runs(std::span<const RunReport> reports) = 0;
  // What the line of runs() has no room for: what started the run, and where the time of its sweeps went.
  virtual void run_details(const RunReport& report) = 0;
  // The points of one bucket, oldest first; at least one.
  virtual void history(const std::string& bucket, std::span<const BucketDay> days) = 0;
  virtual void health(const RunReport& report, const HealthThresholds& thresholds) = 0;
  // `runs` are in order of time.
  virtual void schedules(std::span<const ScheduleConfig> schedules, std::span<const UpcomingRun> runs) = 0;
  // A sentence about what comes next; not part of the JSON.
  virtual void note(std::string_view sentence) = 0;

  // The last line of a command: exactly one of these three.
  virtual void summary(const RunReport& report) = 0;
  virtual void done() = 0;                     // commands that are no run
  virtual void error(const Error& error) = 0;  // on standard error where people read it
};

std::unique_ptr<Output> make_text_output();
std::unique_ptr<Output> make_json_output();

}  // namespace heimdall
