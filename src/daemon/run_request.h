#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/run_report.h"
#include "pipeline/judge.h"

namespace heimdall {

// What the service can be asked to run. The names are a contract: "cleanup", "stats", "plan", "apply", "recover"; also the run's `command` in the history.
// `recover` looks up what earlier runs left in doubt, and writes it down as theirs: it is none of the history itself.
enum class Task { cleanup, stats, plan, apply, recover };
std::string_view to_string(Task task);

struct RunRequest {
  Task task = Task::stats;
  RunReport::DryRun dry_run = RunReport::DryRun::no;
  std::vector<std::string> buckets = {};  // none: all
  std::string trigger = "api";            // "api", "schedule NAME", or what of the service asked
  std::filesystem::path plan = {};        // plan: where to write it (none: plans() of the state directory, by the run's id); apply: which one
  std::string plan_digest = {};           // apply: of the plan that was looked at
  Selection selection = {};               // plan
  std::vector<Guard> accepted = {};       // plan
};

// Fills in what a run that ended before it had a report leaves open: ids, names and times. `started_at` stands if there is none.
void complete(RunReport& report, const RunRequest& request, const std::string& run_id, Timestamp started_at, Timestamp now);

}  // namespace heimdall
