#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/doctor.h"
#include "base/error.h"
#include "cli/options.h"
#include "model/bucket_day.h"
#include "model/guard.h"
#include "model/run_report.h"
#include "pipeline/dangling.h"
#include "pipeline/explain.h"
#include "pipeline/plan.h"

namespace heimdall {

// How healthy a bucket is by the share of its bytes that are orphaned.
enum class Health { healthy, warning, critical };
Health health_of(std::uint64_t orphan_bytes, std::uint64_t total_bytes);
std::string_view to_string(Health health);

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
  virtual void health(const RunReport& report) = 0;
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
