#include <nlohmann/json.hpp>

#include "app/report_json.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/standard_output.h"
#include "cli/version.h"

namespace heimdall {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kDateSize = 10;  // "2026-11-23"

class JsonOutput final : public Output {
 public:
  void begin() override {
    print({{"type", "version"}, {"schema", kJsonSchema}, {"version", kVersion}, {"program", "heimdall-storage"}});
  }

  void refusal(const Refusal& refusal) override { print(refusal_json(refusal)); }
  void overridden(const Refusal& refusal) override {
    Json line = refusal_json(refusal);
    line["accepted"] = true;
    print(line);
  }
  void unlisted(const RangeFailure& failure) override { print(unlisted_json(failure)); }
  void plan(const Plan& plan) override { print(plan_json(plan)); }
  void candidate(const BucketPlan& bucket, const Candidate& candidate) override { print(candidate_json(bucket, candidate)); }
  void deletion(const Deletion& deletion) override { print(deletion_json(deletion)); }
  void explanation(const Explanation& explanation) override { print(explanation_json(explanation)); }
  void check(const Check& check) override { print(check_json(check)); }
  void runs(std::span<const RunReport> reports) override {
    for (const RunReport& report : reports) print(report_json("run", report, to_string(report.status)));
  }
  void health(const RunReport& report, const HealthThresholds& thresholds) override {
    for (const auto& [name, figures] : report.buckets) print(health_json(name, figures, thresholds));
  }

  void schedules(std::span<const ScheduleConfig>, std::span<const UpcomingRun> runs) override {
    for (const UpcomingRun& run : runs) {
      print({{"type", "schedule"},
             {"name", run.schedule},
             {"task", to_string(run.task)},
             {"at", rfc3339_exact(run.at)},
             {"local", run.local},
             {"time_zone", run.time_zone}});
    }
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

  void note(std::string_view) override {}

  void summary(const RunReport& report) override { print(report_json("summary", report, summary_status(report.status))); }
  void done() override { print({{"type", "summary"}, {"status", "success"}}); }
  void error(const Error& error) override { print(error_json(error)); }

 private:
  static void print(const Json& line) { print_out(to_text(line) + "\n"); }
};

}  // namespace

std::unique_ptr<Output> make_json_output() { return std::make_unique<JsonOutput>(); }

}  // namespace heimdall
