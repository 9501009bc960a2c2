#include "daemon/run_request.h"

#include <array>

namespace heimdall {

namespace {
constexpr std::array<std::string_view, 5> kTaskNames = {"cleanup", "stats", "plan", "apply", "recover"};
}

std::string_view to_string(Task task) { return kTaskNames.at(static_cast<std::size_t>(task)); }

void complete(RunReport& report, const RunRequest& request, const std::string& run_id, Timestamp started_at, Timestamp now) {
  report.run_id = run_id;
  if (report.command.empty()) report.command = to_string(request.task);
  if (report.trigger.empty()) report.trigger = request.trigger;
  if (report.started_at == Timestamp{}) {
    report.started_at = started_at;
    report.dry_run = request.dry_run == RunReport::DryRun::yes;
  }
  if (!report.completed_at) report.completed_at = now;
}

}  // namespace heimdall
