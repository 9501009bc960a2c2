#include "cli/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <nlohmann/json.hpp>
#include <algorithm>
#include <sstream>

#include "cli/exit_code.h"

namespace heimdall {
namespace {

using ::testing::HasSubstr;

template <class Use>
std::string printed(const std::unique_ptr<Output>& output, Use use) {
  ::testing::internal::CaptureStdout();
  use(*output);
  return ::testing::internal::GetCapturedStdout();
}

RunReport large_report() {
  RunReport report;
  report.run_id = "20261123T001416Z-7f3a9c";
  report.command = "apply";
  report.status = RunStatus::partial;
  BucketFigures& figures = report.buckets["heimdall-raw-iq"];
  for (auto* n : {&figures.total_objects, &figures.total_bytes, &figures.references, &figures.orphans_found,
                  &figures.orphan_bytes, &figures.orphans_deleted, &figures.bytes_deleted, &figures.skipped_changed}) {
    *n = 987'654'321'012;
  }
  return report;
}

TEST(Output, health_goes_by_the_thresholds_it_is_given) {
  RunReport report;
  report.buckets["b"].total_bytes = 100;
  report.buckets["b"].orphan_bytes = 20;
  const auto told = [&](const HealthThresholds& thresholds) {
    return printed(make_json_output(), [&](Output& output) { output.health(report, thresholds); });
  };
  EXPECT_EQ(told({}), "{\"type\":\"health\",\"bucket\":\"b\",\"status\":\"warning\",\"orphan_percentage\":20.0}\n");
  EXPECT_THAT(told({0.01, 0.1}), HasSubstr("critical"));
}

TEST(Output, tables_fit_80_columns) {
  const std::string text = printed(make_text_output(), [](Output& output) {
    output.summary(large_report());
    const std::vector<RunReport> reports = {large_report()};
    output.runs(reports);
    output.refusal({Guard::orphan_ratio, "heimdall-raw-iq", 0.62, 0.5, "620,000 of 1,000,000 objects are due (62.0 %, the most is 50.0 %); if that is right, accept it"});
    output.check({"mapping.heimdall-raw-iq", Check::Status::failed, std::string(30, 'a') + " " + std::string(40, 'b'), "mend it"});
  });
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
}

TEST(Output, the_summary_has_the_fields_of_the_contract) {
  const auto line = nlohmann::json::parse(printed(make_json_output(), [](Output& output) { output.summary(large_report()); }));
  EXPECT_EQ(line["type"], "summary");
  EXPECT_EQ(line["status"], "partial");
  for (const char* field : {"run_id", "command", "dry_run", "started_at", "completed_at", "execution_time_seconds", "buckets",
                            "total_orphans_found", "total_deleted", "total_failed", "total_space_recovered_gb"}) {
    EXPECT_TRUE(line.contains(field)) << field;
  }
  for (const char* field : {"total_objects", "total_bytes", "references", "referenced_objects", "protected_objects", "orphans_found",
                            "orphan_bytes", "young_objects", "in_grace_objects", "due_objects", "due_bytes", "orphans_deleted",
                            "bytes_deleted", "deletion_failures", "skipped_referenced", "skipped_changed", "dangling_references",
                            "space_recovered_gb"}) {
    EXPECT_TRUE(line["buckets"]["heimdall-raw-iq"].contains(field)) << field;
  }
  EXPECT_DOUBLE_EQ(line["total_space_recovered_gb"], 987'654'321'012.0 / 1024 / 1024 / 1024);
}

TEST(Output, an_interrupted_run_is_partial_in_its_summary) {
  RunReport report = large_report();
  report.status = RunStatus::interrupted;
  EXPECT_THAT(printed(make_json_output(), [&](Output& output) { output.summary(report); }), HasSubstr(R"("status":"partial")"));
}

BucketDay large_day(int age) {
  BucketDay day;
  day.day = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) - std::chrono::days(age);
  day.measured_at = day.day + std::chrono::hours(3);
  day.total_objects = day.total_bytes = day.orphan_bytes = day.bytes_deleted = 987'654'321'012 - static_cast<std::uint64_t>(age);
  day.orphans_found = 5;
  day.orphans_deleted = 4;
  return day;
}

TEST(Output, a_history_is_a_table_of_the_last_days_with_curves_that_fits_80_columns) {
  std::vector<BucketDay> days;
  for (int age = 99; age >= 0; --age) days.push_back(large_day(age));
  const std::string text = printed(make_text_output(), [&](Output& output) { output.history("heimdall-raw-iq", days); });
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 18);
  EXPECT_THAT(text, HasSubstr("2026-11-23"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("2026-11-09")));
  EXPECT_THAT(text, HasSubstr("size    ______"));
  EXPECT_THAT(text, HasSubstr("######  919.8 GiB"));
}

TEST(Output, a_history_is_a_line_of_json_for_each_day) {
  const auto line = nlohmann::json::parse(printed(make_json_output(), [](Output& output) {
    const std::vector<BucketDay> days = {large_day(0)};
    output.history("raw", days);
  }));
  EXPECT_EQ(line, (nlohmann::json{{"type", "history"},
                                  {"bucket", "raw"},
                                  {"date", "2026-11-23"},
                                  {"total_objects", 987'654'321'012},
                                  {"total_bytes", 987'654'321'012},
                                  {"orphans_found", 5},
                                  {"orphan_bytes", 987'654'321'012},
                                  {"orphans_deleted", 4},
                                  {"bytes_deleted", 987'654'321'012},
                                  {"measured_at", "2026-11-23T03:00:00Z"}}));
}

TEST(Output, what_started_a_run_is_told_and_fits_the_table) {
  RunReport report = large_report();
  report.trigger = "schedule minio-lifecycle-cleanup";
  report.sweeps["heimdall-raw-iq"] = {.wall = std::chrono::seconds(10), .recheck = std::chrono::seconds(3), .compare = {}, .journal = {},
                                      .remove = std::chrono::seconds(1), .workers = 4};
  const std::string text = printed(make_text_output(), [&](Output& output) {
    const std::vector<RunReport> reports = {report, large_report()};
    output.runs(reports);
    output.run_details(report);
  });
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
  EXPECT_THAT(text, HasSubstr(" partial     schedule "));
  EXPECT_THAT(text, HasSubstr("started by schedule minio-lifecycle-cleanup\n"));
  EXPECT_THAT(text, HasSubstr("4 at a time"));
  EXPECT_THAT(text, HasSubstr("75 %, compare"));
}

RC_GTEST_PROP(Output, any_key_makes_one_line_of_json, (const std::string& key)) {
  Deletion deletion;
  deletion.bucket = "b";
  deletion.object.key = ObjectKey(key);
  deletion.error = key;
  const std::string text = printed(make_json_output(), [&](Output& output) { output.deletion(deletion); });
  RC_ASSERT(text.find('\n') == text.size() - 1);
  const auto line = nlohmann::json::parse(text);
  RC_ASSERT(line.contains("key") != line.contains("key_base64"));
  if (line.contains("key")) RC_ASSERT(line["key"] == key);
}

RC_GTEST_PROP(Output, no_key_drives_the_terminal, (const std::string& key)) {
  Deletion deletion;
  deletion.object.key = ObjectKey(key);
  const std::string text = printed(make_text_output(), [&](Output& output) { output.deletion(deletion); });
  RC_ASSERT(text.find('\033') == std::string::npos);
  RC_ASSERT(text.find('\n') == text.size() - 1);
}

TEST(Output, exit_codes_tell_what_to_do_next) {
  EXPECT_EQ(exit_code_of(ErrorCode::unavailable), ExitCode::unreachable);
  EXPECT_EQ(exit_code_of(ErrorCode::not_found), ExitCode::unreachable);
  EXPECT_EQ(exit_code_of(ErrorCode::permission_denied), ExitCode::permission);
  EXPECT_EQ(exit_code_of(ErrorCode::locked), ExitCode::locked);
  EXPECT_EQ(exit_code_of(ErrorCode::cancelled), ExitCode::interrupted);
  EXPECT_EQ(exit_code_of(ErrorCode::invalid_argument), ExitCode::failure) << "a rejected query";
}

}  // namespace
}  // namespace heimdall
