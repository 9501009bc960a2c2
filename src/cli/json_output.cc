#include <cstdio>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/output.h"
#include "cli/version.h"

namespace heimdall {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kDateSize = 10;  // "2026-11-23"
constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

// A key that is not UTF-8 travels as base64.
void put_key(Json& line, std::string_view name, std::string_view key) {
  if (is_utf8(key)) line[std::string(name)] = key;
  else line[std::string(name) + "_base64"] = to_base64(key);
}

Json time_or_null(const std::optional<Timestamp>& time) { return time ? Json(rfc3339_exact(*time)) : Json(nullptr); }

// A run that was interrupted did a part of its work.
std::string_view summary_status(RunStatus status) {
  return to_string(status == RunStatus::interrupted ? RunStatus::partial : status);
}

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

Json report_json(std::string_view type, const RunReport& report, std::string_view status) {
  Json line = {{"type", type},
               {"run_id", report.run_id},
               {"command", report.command},
               {"status", status},
               {"dry_run", report.dry_run},
               {"started_at", rfc3339_exact(report.started_at)},
               {"completed_at", time_or_null(report.completed_at)}};
  const auto length = report.completed_at.value_or(report.started_at) - report.started_at;
  line["execution_time_seconds"] = std::chrono::duration<double>(length).count();
  Json buckets = Json::object();
  std::uint64_t orphans = 0;
  std::uint64_t deleted = 0;
  std::uint64_t failed = 0;
  std::uint64_t bytes = 0;
  for (const auto& [name, figures] : report.buckets) {
    buckets[name] = figures_json(figures);
    if (const auto swept = report.sweeps.find(name); swept != report.sweeps.end()) put_times(buckets[name], swept->second, figures);
    orphans += figures.orphans_found;
    deleted += figures.orphans_deleted;
    failed += figures.deletion_failures;
    bytes += figures.bytes_deleted;
  }
  line["buckets"] = std::move(buckets);
  line["total_orphans_found"] = orphans;
  line["total_deleted"] = deleted;
  line["total_failed"] = failed;
  line["total_space_recovered_gb"] = static_cast<double>(bytes) / kGiB;
  if (!report.error.empty()) line["message"] = report.error;
  return line;
}

Json refusal_json(std::string_view type, const Refusal& refusal) {
  return {{"type", type},           {"name", name_of(refusal.guard)}, {"bucket", refusal.bucket},
          {"value", refusal.value}, {"limit", refusal.limit},         {"message", refusal.message}};
}

class JsonOutput final : public Output {
 public:
  void begin() override {
    print({{"type", "version"}, {"schema", kJsonSchema}, {"version", kVersion}, {"program", "heimdall-storage"}});
  }

  void refusal(const Refusal& refusal) override { print(refusal_json("guard", refusal)); }
  void overridden(const Refusal& refusal) override {
    Json line = refusal_json("guard", refusal);
    line["accepted"] = true;
    print(line);
  }

  void unlisted(const RangeFailure& failure) override {
    Json line = {{"type", "unlisted"}};
    put_key(line, "prefix", failure.range.prefix);
    put_key(line, "after", failure.range.after);
    put_key(line, "until", failure.range.until);
    line["code"] = to_string(failure.error.code);
    line["message"] = failure.error.message;
    print(line);
  }

  void plan(const Plan& plan) override {
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
    print(line);
  }

  void candidate(const BucketPlan& bucket, const Candidate& candidate) override {
    Json line = {{"type", "candidate"}, {"bucket", bucket.bucket}};
    put_key(line, "key", candidate.object.key.bytes());
    line["size"] = candidate.object.size_bytes;
    line["last_modified"] = time_or_null(candidate.object.last_modified);
    line["etag"] = candidate.object.etag;
    line["first_seen"] = rfc3339(candidate.first_seen);
    line["reason"] = reason_of(bucket, candidate);
    print(line);
  }

  void deletion(const Deletion& deletion) override {
    Json line = {{"type", "deletion"}, {"bucket", deletion.bucket}};
    put_key(line, "key", deletion.object.key.bytes());
    line["size"] = deletion.object.size_bytes;
    line["outcome"] = to_string(deletion.outcome);
    line["error"] = deletion.error.empty() ? Json(nullptr) : Json(deletion.error);
    print(line);
  }

  void explanation(const Explanation& explanation) override {
    Json line = {{"type", "explanation"}, {"bucket", explanation.bucket}};
    put_key(line, "key", explanation.key);
    line["verdict"] = explanation.verdict;
    line["reasons"] = explanation.reasons;
    print(line);
  }

  void check(const Check& check) override {
    constexpr std::array kNames = {"ok", "warning", "failed"};
    print({{"type", "check"},
           {"name", check.name},
           {"status", kNames.at(static_cast<std::size_t>(check.status))},
           {"message", check.message},
           {"fix", check.fix.empty() ? Json(nullptr) : Json(check.fix)}});
  }

  void runs(std::span<const RunReport> reports) override {
    for (const RunReport& report : reports) print(report_json("run", report, to_string(report.status)));
  }

  void run_details(const RunReport&) override {}  // runs() has room for all

  void history(const std::string& bucket, std::span<const BucketDay> days) override {
    for (const BucketDay& point : days) {
      print({{"type", "history"},
             {"bucket", bucket},
             {"date", rfc3339(point.day).substr(0, kDateSize)},
             {"total_objects", point.total_objects},
             {"total_bytes", point.total_bytes},
             {"orphans_found", point.orphans_found},
             {"orphan_bytes", point.orphan_bytes},
             {"orphans_deleted", point.orphans_deleted},
             {"bytes_deleted", point.bytes_deleted},
             {"measured_at", rfc3339(point.measured_at)}});
    }
  }

  void health(const RunReport& report) override {
    for (const auto& [name, figures] : report.buckets) {
      print({{"type", "health"},
             {"bucket", name},
             {"status", to_string(health_of(figures.orphan_bytes, figures.total_bytes))},
             {"orphan_percentage", figures.total_bytes == 0 ? 0.0
                                                            : 100.0 * static_cast<double>(figures.orphan_bytes) /
                                                                  static_cast<double>(figures.total_bytes)}});
    }
  }

  void note(std::string_view) override {}

  void summary(const RunReport& report) override { print(report_json("summary", report, summary_status(report.status))); }
  void done() override { print({{"type", "summary"}, {"status", "success"}}); }
  void error(const Error& error) override {
    print({{"type", "error"}, {"code", to_string(error.code)}, {"message", error.message}, {"hint", error.hint}});
  }

 private:
  // Messages quote names that may hold any byte: what is not UTF-8 in them is replaced, never an exception.
  static void print(const Json& line) {
    const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
};

}  // namespace

std::unique_ptr<Output> make_json_output() { return std::make_unique<JsonOutput>(); }

}  // namespace heimdall
