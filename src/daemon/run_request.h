#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/run_report.h"
#include "pipeline/judge.h"

namespace heimdall {

// What the service can be asked to run. The names are a contract: "cleanup", "stats", "plan", "apply"; also the run's `command` in the history.
enum class Task { cleanup, stats, plan, apply };
std::string_view to_string(Task task);
std::optional<Task> task_named(std::string_view name);

struct RunRequest {
  Task task = Task::stats;
  RunReport::DryRun dry_run = RunReport::DryRun::no;
  std::vector<std::string> buckets = {};  // none: all
  std::string trigger = "api";            // "api" or "schedule NAME"
  std::filesystem::path plan = {};        // plan: where to write it; apply: which one
  Selection selection = {};               // plan
  std::vector<Guard> accepted = {};       // plan
};

}  // namespace heimdall
