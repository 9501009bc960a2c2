#include "app/report_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace heimdall {
namespace {

RunReport report() {
  RunReport report;
  report.run_id = "20261123T001416Z-7f3a9c";
  report.command = "cleanup";
  report.status = RunStatus::interrupted;
  report.buckets["b"].orphans_deleted = 2;
  report.buckets["b"].bytes_deleted = std::uint64_t{1} << 30;
  return report;
}

TEST(ReportJson, tells_what_asked_for_the_run_only_if_something_did) {
  RunReport run = report();
  EXPECT_FALSE(report_json("run", run, "running").contains("trigger"));
  run.trigger = "schedule nightly";
  EXPECT_EQ(report_json("run", run, "running")["trigger"], "schedule nightly");
}

TEST(ReportJson, sums_up_the_buckets) {
  const auto json = report_json("summary", report(), summary_status(RunStatus::interrupted));
  EXPECT_EQ(json["type"], "summary");
  EXPECT_EQ(json["status"], "partial") << "it did a part of its work";
  EXPECT_EQ(json["total_deleted"], 2);
  EXPECT_EQ(json["total_space_recovered_gb"], 1.0);
  EXPECT_EQ(json["buckets"]["b"]["space_recovered_gb"], 1.0);
  EXPECT_FALSE(json["buckets"]["b"].contains("sweep_seconds")) << "nothing was swept";
  EXPECT_FALSE(json.contains("message"));
}

TEST(ReportJson, other_states_stay_as_they_are) {
  for (const RunStatus status : {RunStatus::running, RunStatus::success, RunStatus::failed, RunStatus::refused}) {
    EXPECT_EQ(summary_status(status), to_string(status));
  }
}

TEST(ReportJson, any_bytes_make_text) {
  Deletion deletion;
  deletion.object.key = ObjectKey("\xff\n");
  deletion.error = "\xfe";
  const std::string text = to_text(deletion_json(deletion));
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const auto json = nlohmann::json::parse(text);
  EXPECT_TRUE(json.contains("key_base64"));
  EXPECT_EQ(json["error"], "\xef\xbf\xbd");
}

TEST(ReportJson, an_error_has_its_hint) {
  EXPECT_EQ(to_text(error_json({ErrorCode::locked, "held by pid 1", "wait"})),
            R"({"type":"error","code":"locked","message":"held by pid 1","hint":"wait"})");
}

}  // namespace
}  // namespace heimdall
