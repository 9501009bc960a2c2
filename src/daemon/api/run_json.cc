#include "daemon/api/run_json.h"

#include "app/report_json.h"
#include "base/text.h"

namespace heimdall {

using Json = nlohmann::ordered_json;

Json live_run_json(std::string_view type, const LiveRun& run, const std::optional<RunReport>& saved, Timestamp now) {
  RunReport report;
  if (saved) report = *saved;
  report.run_id = run.run_id;
  report.command = to_string(run.request.task);
  report.trigger = run.request.trigger;
  report.dry_run = run.request.dry_run == RunReport::DryRun::yes;
  report.started_at = run.started_at.value_or(run.submitted_at);
  report.completed_at = std::nullopt;
  for (const auto& [bucket, counted] : run.outcomes) set_outcomes(report.buckets[bucket], counted);
  // Of one run the contract knows `running` until it ends; `waiting` tells the rest. Lists tell them apart.
  Json json = report_json(type, report, run.started || type == "summary" ? "running" : "queued");
  json["waiting"] = !run.started;
  if (!run.started) json["started_at"] = nullptr;
  json["execution_time_seconds"] = run.started ? std::chrono::duration<double>(now - report.started_at).count() : 0.0;
  json["submitted_at"] = rfc3339_exact(run.submitted_at);
  json["cancelling"] = run.cancelling;
  json["progress"] = {{"phase", run.phase},
                      {"bucket", run.bucket},
                      {"done", run.done},
                      {"expected", run.expected ? Json(*run.expected) : Json(nullptr)}};
  return json;
}

}  // namespace heimdall
