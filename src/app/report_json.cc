#include "app/report_json.h"

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "model/run_totals.h"

namespace heimdall {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

// A key that is not UTF-8 travels as base64.
void put_key(Json& line, std::string_view name, std::string_view key) {
  if (is_utf8(key)) line[std::string(name)] = key;
  else line[std::string(name) + "_base64"] = to_base64(key);
}

Json time_or_null(const std::optional<Timestamp>& time) { return time ? Json(rfc3339_exact(*time)) : Json(nullptr); }

void put_times(Json& figures, const SweepTimes& times, const BucketFigures& f) {
  const auto seconds = [](std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); };
  figures["sweep_seconds"] = seconds(times.wall);
  figures["recheck_seconds"] = seconds(times.recheck);
  figures["compare_seconds"] = seconds(times.compare);
  figures["journal_seconds"] = seconds(times.journal);
  figures["delete_seconds"] = seconds(times.remove);
  figures["delete_rate"] = times.per_second(f);
  figures["delete_workers"] = times.workers;
}

}  // namespace

std::string_view summary_status(RunStatus status) { return to_string(status == RunStatus::interrupted ? RunStatus::partial : status); }

Json figures_json(const BucketFigures& f) {
  return {{"total_objects", f.total_objects},
          {"total_bytes", f.total_bytes},
          {"references", f.references},
          {"referenced_objects", f.referenced_objects},
          {"referenced_bytes", f.referenced_bytes},
          {"protected_objects", f.protected_objects},
          {"protected_bytes", f.protected_bytes},
          {"orphans_found", f.orphans_found},
          {"orphan_bytes", f.orphan_bytes},
          {"young_objects", f.young_objects},
          {"in_grace_objects", f.in_grace_objects},
          {"in_grace_bytes", f.in_grace_bytes},
          {"due_objects", f.due_objects},
          {"due_bytes", f.due_bytes},
          {"orphans_deleted", f.orphans_deleted},
          {"bytes_deleted", f.bytes_deleted},
          {"deletion_failures", f.deletion_failures},
          {"skipped_referenced", f.skipped_referenced},
          {"skipped_changed", f.skipped_changed},
          {"already_gone", f.already_gone},
          {"dangling_references", f.dangling_references},
          {"near_misses", f.near_misses},
          {"unmapped_references", f.unmapped_references},
          {"grace_ends", time_or_null(f.grace_ends)},
          {"space_recovered_gb", static_cast<double>(f.bytes_deleted) / kGiB}};
}

Json report_json(std::string_view type, const RunReport& report, std::string_view status) {
  Json line = {{"type", type}, {"run_id", report.run_id}, {"command", report.command}};
  if (!report.trigger.empty()) line["trigger"] = report.trigger;
  line["status"] = status;
  line["dry_run"] = report.dry_run;
  line["started_at"] = rfc3339_exact(report.started_at);
  line["completed_at"] = time_or_null(report.completed_at);
  const auto length = report.completed_at.value_or(report.started_at) - report.started_at;
  line["execution_time_seconds"] = std::chrono::duration<double>(length).count();
  Json buckets = Json::object();
  for (const auto& [name, figures] : report.buckets) {
    buckets[name] = figures_json(figures);
    if (const auto swept = report.sweeps.find(name); swept != report.sweeps.end()) put_times(buckets[name], swept->second, figures);
  }
  line["buckets"] = std::move(buckets);
  const RunTotals totals = totals_of(report);
  line["total_orphans_found"] = totals.orphans_found;
  line["total_deleted"] = totals.orphans_deleted;
  line["total_failed"] = totals.deletion_failures;
  line["total_space_recovered_gb"] = static_cast<double>(totals.bytes_deleted) / kGiB;
  if (!report.error.empty()) line["message"] = report.error;
  return line;
}

Json refusal_json(const Refusal& refusal) {
  return {{"type", "guard"},        {"name", name_of(refusal.guard)}, {"bucket", refusal.bucket},
          {"value", refusal.value}, {"limit", refusal.limit},         {"message", refusal.message}};
}

Json unlisted_json(const RangeFailure& failure) {
  Json line = {{"type", "unlisted"}};
  put_key(line, "prefix", failure.range.prefix);
  put_key(line, "after", failure.range.after);
  put_key(line, "until", failure.range.until);
  line["code"] = to_string(failure.error.code);
  line["message"] = failure.error.message;
  return line;
}

Json plan_json(const Plan& plan) {
  Json line = {{"type", "plan"},
               {"run_id", plan.run_id()},
               {"digest", plan.digest()},
               {"created_at", rfc3339(plan.created())},
               {"expires_at", rfc3339(plan.expires())},
               {"ignore_grace", plan.grace() == Selection::Grace::ignore}};
  Json accepted = Json::array();
  for (Guard guard : plan.accepted()) accepted.push_back(name_of(guard));
  line["accepted"] = std::move(accepted);
  Json buckets = Json::object();
  for (const BucketPlan& bucket : plan.buckets()) {
    Json figures = figures_json(bucket.figures);
    figures["candidates"] = bucket.candidates;
    figures["candidate_bytes"] = bucket.candidate_bytes;
    figures["ranges"] = bucket.ranges;
    figures["ranges_not_listed"] = bucket.unlisted_ranges;
    Json sources = Json::array();
    for (std::size_t i = 0; i < bucket.sources.size(); ++i) {
      const SourceFacts& facts = bucket.sources[i];
      sources.push_back({{"name", facts.name},
                         {"rows", facts.rows},
                         {"database", facts.identity.database},
                         {"recheck", recheck_cost_of(bucket, i)}});
    }
    figures["sources"] = std::move(sources);
    buckets[bucket.bucket] = std::move(figures);
  }
  line["buckets"] = std::move(buckets);
  line["candidates"] = plan.candidates();
  return line;
}

Json candidate_json(const BucketPlan& bucket, const Candidate& candidate) {
  Json line = {{"type", "candidate"}, {"bucket", bucket.bucket}};
  put_key(line, "key", candidate.object.key.bytes());
  line["size"] = candidate.object.size_bytes;
  line["last_modified"] = time_or_null(candidate.object.last_modified);
  line["etag"] = candidate.object.etag;
  line["first_seen"] = rfc3339(candidate.first_seen);
  line["reason"] = reason_of(bucket, candidate);
  return line;
}

Json deletion_json(const Deletion& deletion) {
  Json line = {{"type", "deletion"}, {"bucket", deletion.bucket}};
  put_key(line, "key", deletion.object.key.bytes());
  line["size"] = deletion.object.size_bytes;
  line["outcome"] = to_string(deletion.outcome);
  line["error"] = deletion.error.empty() ? Json(nullptr) : Json(deletion.error);
  return line;
}

Json explanation_json(const Explanation& explanation) {
  Json line = {{"type", "explanation"}, {"bucket", explanation.bucket}};
  put_key(line, "key", explanation.key);
  line["verdict"] = explanation.verdict;
  line["reasons"] = explanation.reasons;
  return line;
}

Json check_json(const Check& check) {
  constexpr std::array kNames = {"ok", "warning", "failed"};
  return {{"type", "check"},
          {"name", check.name},
          {"status", kNames.at(static_cast<std::size_t>(check.status))},
          {"message", check.message},
          {"fix", check.fix.empty() ? Json(nullptr) : Json(check.fix)}};
}

Json health_json(const std::string& bucket, const BucketFigures& figures, const HealthThresholds& thresholds) {
  return {{"type", "health"},
          {"bucket", bucket},
          {"status", to_string(health_of(figures.orphan_bytes, figures.total_bytes, thresholds))},
          {"orphan_percentage", orphaned_percentage(figures.orphan_bytes, figures.total_bytes)}};
}

Json error_json(const Error& error) {
  return {{"type", "error"}, {"code", to_string(error.code)}, {"message", error.message}, {"hint", error.hint}};
}

std::string to_text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace heimdall
