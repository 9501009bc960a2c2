#include "daemon/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "testing/temp_dir.h"

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

const Timestamp kNow{1795392856s};
const Timestamp kStarted = kNow - 2h;

BucketBoard photos() {
  BucketBoard bucket;
  bucket.name = "photos";
  bucket.store = "minio";
  BucketFigures& f = bucket.figures;
  f.total_objects = 10;
  f.total_bytes = std::uint64_t{3} << 30;
  f.references = 6;
  f.referenced_objects = 4;
  f.referenced_bytes = std::uint64_t{1} << 30;
  f.protected_objects = 1;
  f.protected_bytes = std::uint64_t{1} << 29;
  f.orphans_found = 5;
  f.orphan_bytes = 1610612736;
  f.young_objects = 1;
  f.in_grace_objects = 2;
  f.in_grace_bytes = 500;
  f.due_objects = 2;
  f.due_bytes = 700;
  f.dangling_references = 2;
  bucket.measured_at = kNow - 1h;
  return bucket;
}

BucketBoard audio() {
  BucketBoard bucket;
  bucket.name = "audio";
  bucket.store = "media";
  return bucket;
}

ScheduleState nightly() {
  ScheduleState schedule;
  schedule.name = "nightly";
  schedule.task = Task::cleanup;
  schedule.next = kNow + 3h;
  schedule.interval = 24h;
  schedule.skipped = 1;
  schedule.missed = 2;
  schedule.retried = 3;
  return schedule;
}

MetricsView view_of(std::vector<BucketBoard> buckets) {
  MetricsView view;
  view.buckets = std::move(buckets);
  view.now = kNow;
  return view;
}

RunOutcome ended(RunStatus status, Timestamp started = kNow - 10min, Timestamp completed = kNow - 8min) {
  RunOutcome outcome;
  outcome.report.status = status;
  outcome.report.started_at = started;
  outcome.report.completed_at = completed;
  return outcome;
}

RunRequest request_of(Task task, std::string trigger = "api") {
  RunRequest request;
  request.task = task;
  request.trigger = std::move(trigger);
  return request;
}

// The samples of a text by name and labels; each is there once.
std::map<std::string, std::string> samples_of(const std::string& text) {
  std::map<std::string, std::string> samples;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const auto space = line.rfind(' ');
    EXPECT_TRUE(samples.emplace(line.substr(0, space), line.substr(space + 1)).second) << "twice: " << line;
  }
  return samples;
}

std::set<std::string> families_of(const std::string& text) {
  std::set<std::string> families;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("# HELP ")) continue;
    EXPECT_TRUE(families.insert(line.substr(7, line.find(' ', 7) - 7)).second) << "twice: " << line;
  }
  return families;
}

class MetricsTest : public ::testing::Test {
 protected:
  std::map<std::string, std::string> samples(const MetricsView& view = view_of({photos(), audio()})) { return samples_of(metrics_.render(view)); }
  // Everything there is, with something in it.
  MetricsView full_view();

  Metrics metrics_{kStarted};
};

MetricsView MetricsTest::full_view() {
  BucketBoard bucket = photos();
  bucket.capacity = StoreCapacity{1000, 600, 400};
  MetricsView view = view_of({bucket, audio()});
  view.schedules = {nightly()};
  view.dependencies = {{"store", "minio", DependencyState::Status::ok, "", kNow, kNow, 1ms}, {"database", "main", DependencyState::Status::failed, "away", kNow, {}, 1ms}};
  LiveRun running;
  running.request = request_of(Task::cleanup);
  running.started = true;
  running.started_at = kNow - 30s;
  LiveRun waiting;
  waiting.request = request_of(Task::stats);
  view.runs = {running, waiting};
  RunOutcome outcome = ended(RunStatus::refused);
  outcome.refusals.push_back({Guard::orphan_ratio, "photos", 0.6, 0.5, "too many"});
  metrics_.run_ended(request_of(Task::cleanup, "schedule nightly"), outcome);
  metrics_.phase_ended("photos", "listing", 2s, 10);
  metrics_.request_began("minio", "list");
  metrics_.request_began("minio", "list");
  metrics_.request_ended("minio", "list", "200", 7ms);
  metrics_.request_retried("minio", "list");
  metrics_.http_request("/api/v1/runs/{id}", 200);
  metrics_.log_line(LogLevel::warning);
  return view;
}

TEST_F(MetricsTest, the_gauges_of_the_platform_are_there_with_0_from_the_start) {
  const auto samples = this->samples(view_of({audio()}));
  for (const std::string name : {"disk_usage_gb", "bucket_size_gb", "orphan_files", "orphan_size_gb", "total_objects", "referenced_objects"}) {
    EXPECT_EQ(samples.at("heimdall_storage_" + name + R"({bucket="audio"})"), "0") << name;
  }
}

TEST_F(MetricsTest, the_gauges_of_the_platform_count_in_gigabytes_of_1024_cubed) {
  const auto samples = this->samples();
  EXPECT_EQ(samples.at(R"(heimdall_storage_bucket_size_gb{bucket="photos"})"), "3");
  EXPECT_EQ(samples.at(R"(heimdall_storage_disk_usage_gb{bucket="photos"})"), "3") << "the store does not tell";
  EXPECT_EQ(samples.at(R"(heimdall_storage_orphan_size_gb{bucket="photos"})"), "1.5");
  EXPECT_EQ(samples.at(R"(heimdall_storage_orphan_files{bucket="photos"})"), "5");
  EXPECT_EQ(samples.at(R"(heimdall_storage_total_objects{bucket="photos"})"), "10");
  EXPECT_EQ(samples.at(R"(heimdall_storage_referenced_objects{bucket="photos"})"), "4");
}

TEST_F(MetricsTest, disk_usage_is_that_of_the_disks_where_the_store_tells) {
  BucketBoard bucket = photos();
  bucket.capacity = StoreCapacity{std::uint64_t{500} << 30, std::uint64_t{466} << 30, std::uint64_t{34} << 30};
  const auto samples = this->samples(view_of({bucket, audio()}));
  EXPECT_EQ(samples.at(R"(heimdall_storage_disk_usage_gb{bucket="photos"})"), "466");
  EXPECT_EQ(samples.at(R"(heimdall_storage_store_used_bytes{store="minio"})"), "500363689984");
  EXPECT_FALSE(samples.contains(R"(heimdall_storage_store_used_bytes{store="media"})")) << "it does not tell";
}

TEST_F(MetricsTest, says_the_figures_of_buckets_in_base_units) {
  const auto samples = this->samples();
  const std::map<std::string, std::string> expected = {
      {R"(bucket_objects{bucket="photos",state="referenced"})", "4"},
      {R"(bucket_objects{bucket="photos",state="protected"})", "1"},
      {R"(bucket_objects{bucket="photos",state="orphaned"})", "5"},
      {R"(bucket_bytes{bucket="photos",state="referenced"})", "1073741824"},
      {R"(bucket_bytes{bucket="photos",state="protected"})", "536870912"},
      {R"(bucket_bytes{bucket="photos",state="orphaned"})", "1610612736"},
      {R"(bucket_young_objects{bucket="photos"})", "1"},
      {R"(bucket_young_bytes{bucket="photos"})", "1610611536"},
      {R"(bucket_in_grace_objects{bucket="photos"})", "2"},
      {R"(bucket_in_grace_bytes{bucket="photos"})", "500"},
      {R"(bucket_due_objects{bucket="photos"})", "2"},
      {R"(bucket_due_bytes{bucket="photos"})", "700"},
      {R"(bucket_references{bucket="photos"})", "6"},
      {R"(bucket_dangling_references{bucket="photos"})", "2"},
      {R"(bucket_measured_timestamp_seconds{bucket="photos"})", "1795389256"},
      {R"(bucket_measured_timestamp_seconds{bucket="audio"})", "0"},
  };
  for (const auto& [name, value] : expected) EXPECT_EQ(samples.at("heimdall_storage_" + name), value) << name;
}

TEST_F(MetricsTest, counts_runs_by_how_they_ended_and_when) {
  metrics_.run_ended(request_of(Task::stats), ended(RunStatus::success));
  metrics_.run_ended(request_of(Task::stats), ended(RunStatus::failed, kNow - 1min, kNow));
  const auto samples = this->samples();
  EXPECT_EQ(samples.at(R"(heimdall_storage_runs_total{task="stats",status="success"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_runs_total{task="stats",status="failed"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_runs_total{task="cleanup",status="success"})"), "0");
  EXPECT_EQ(samples.at(R"(heimdall_storage_last_success_timestamp_seconds{task="stats"})"), "1795392376") << "its end";
  EXPECT_EQ(samples.at(R"(heimdall_storage_last_attempt_timestamp_seconds{task="stats"})"), "1795392796") << "the beginning of the one that failed";
  EXPECT_EQ(samples.at(R"(heimdall_storage_last_success_timestamp_seconds{task="cleanup"})"), "0");
  EXPECT_EQ(samples.at(R"(heimdall_storage_run_duration_seconds_bucket{task="stats",le="60"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_run_duration_seconds_bucket{task="stats",le="300"})"), "2");
  EXPECT_EQ(samples.at(R"(heimdall_storage_run_duration_seconds_sum{task="stats"})"), "180");
  EXPECT_EQ(samples.at(R"(heimdall_storage_run_duration_seconds_count{task="stats"})"), "2");
}

TEST_F(MetricsTest, the_last_success_is_that_of_the_last_run_also_if_the_clock_was_set_back) {
  metrics_.run_ended(request_of(Task::cleanup, "schedule nightly"), ended(RunStatus::success, kNow + 24h, kNow + 25h));
  metrics_.run_ended(request_of(Task::cleanup, "schedule nightly"), ended(RunStatus::success));
  MetricsView view = view_of({photos()});
  view.schedules = {nightly()};
  const auto samples = this->samples(view);
  EXPECT_EQ(samples.at(R"(heimdall_storage_last_success_timestamp_seconds{task="cleanup"})"), "1795392376");
  EXPECT_EQ(samples.at(R"(heimdall_storage_schedule_last_success_timestamp_seconds{schedule="nightly"})"), "1795392376");
  EXPECT_EQ(samples.at(R"(heimdall_storage_schedule_last_attempt_timestamp_seconds{schedule="nightly"})"), "1795392256");
}

TEST_F(MetricsTest, a_restart_does_not_look_like_a_first_start) {
  const std::vector<Attempts> history = {{"scan", "command line", kNow, kNow},
                                         {"cleanup", "schedule nightly", kNow - 24h, kNow - 47h},
                                         {"cleanup", "api", kNow - 72h, std::nullopt}};
  metrics_.restore(history);
  MetricsView view = view_of({photos()});
  view.schedules = {nightly()};
  const auto samples = this->samples(view);
  EXPECT_EQ(samples.at(R"(heimdall_storage_last_success_timestamp_seconds{task="cleanup"})"), "1795223656");
  EXPECT_EQ(samples.at(R"(heimdall_storage_last_attempt_timestamp_seconds{task="cleanup"})"), "1795306456");
  EXPECT_EQ(samples.at(R"(heimdall_storage_schedule_last_success_timestamp_seconds{schedule="nightly"})"), "1795223656");
  EXPECT_EQ(samples.at(R"(heimdall_storage_schedule_last_attempt_timestamp_seconds{schedule="nightly"})"), "1795306456");
  EXPECT_EQ(samples.at(R"(heimdall_storage_runs_total{task="cleanup",status="success"})"), "0") << "counters begin with the process";
}

TEST_F(MetricsTest, says_how_each_schedule_stands) {
  metrics_.run_ended(request_of(Task::cleanup, "schedule nightly"), ended(RunStatus::success));
  MetricsView view = view_of({photos()});
  view.schedules = {nightly()};
  const auto samples = this->samples(view);
  EXPECT_EQ(samples.at(R"(heimdall_storage_schedule_last_success_timestamp_seconds{schedule="nightly"})"), "1795392376");
  EXPECT_EQ(samples.at(R"(heimdall_storage_schedule_last_attempt_timestamp_seconds{schedule="nightly"})"), "1795392256");
  EXPECT_EQ(samples.at(R"(heimdall_storage_schedule_next_run_timestamp_seconds{schedule="nightly"})"), "1795403656");
  EXPECT_EQ(samples.at(R"(heimdall_storage_schedule_interval_seconds{schedule="nightly"})"), "86400");
  EXPECT_EQ(samples.at(R"(heimdall_storage_schedule_skipped_total{schedule="nightly"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_schedule_missed_total{schedule="nightly"})"), "2");
  EXPECT_EQ(samples.at(R"(heimdall_storage_schedule_retries_total{schedule="nightly"})"), "3");
}

TEST_F(MetricsTest, counts_what_became_of_candidates) {
  const auto gone = [](Outcome outcome, std::uint64_t size_bytes) {
    Deletion deletion{"photos", {}, outcome, ""};
    deletion.object.size_bytes = size_bytes;
    return deletion;
  };
  using enum Outcome;
  const std::vector<Deletion> batch = {gone(deleted, 4000), gone(deleted, 96), gone(failed, 7), gone(skipped_referenced, 7), gone(skipped_changed, 7), gone(already_gone, 7)};
  metrics_.deletions(batch);
  metrics_.deletions(std::span(batch).first(3));
  const auto samples = this->samples();
  EXPECT_EQ(samples.at(R"(heimdall_storage_deletions_total{bucket="photos",outcome="deleted"})"), "4");
  EXPECT_EQ(samples.at(R"(heimdall_storage_deletions_total{bucket="photos",outcome="failed"})"), "2");
  EXPECT_EQ(samples.at(R"(heimdall_storage_deletions_total{bucket="photos",outcome="skipped_referenced"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_deletions_total{bucket="photos",outcome="skipped_changed"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_deletions_total{bucket="photos",outcome="already_gone"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_deleted_bytes_total{bucket="photos"})"), "8192");
  EXPECT_EQ(samples.at(R"(heimdall_storage_deletions_total{bucket="audio",outcome="deleted"})"), "0");
}

TEST_F(MetricsTest, every_guard_is_there_from_the_start) {
  RunOutcome outcome = ended(RunStatus::refused);
  outcome.refusals.push_back({Guard::match_rate, "photos", 0.1, 0.5, "few match"});
  outcome.overridden.push_back({Guard::near_miss, "photos", 20, 10, "accepted"});
  metrics_.run_ended(request_of(Task::cleanup), outcome);
  const auto samples = this->samples();
  for (const std::string_view guard : kGuardNames) {
    EXPECT_EQ(samples.at("heimdall_storage_guard_refusals_total{guard=\"" + std::string(guard) + "\"}"), guard == "match_rate" ? "1" : "0") << guard;
  }
}

TEST_F(MetricsTest, counts_requests_to_stores) {
  metrics_.request_began("minio", "list");
  metrics_.request_began("minio", "list");
  metrics_.request_began("minio", "delete");
  metrics_.request_ended("minio", "list", "200", 7ms);
  metrics_.request_ended("minio", "list", "503", 30s);
  metrics_.request_retried("minio", "list");
  const auto samples = this->samples();
  EXPECT_EQ(samples.at(R"(heimdall_storage_store_requests_total{store="minio",operation="list",status="200"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_store_requests_total{store="minio",operation="list",status="503"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_store_requests_total{store="media",operation="list",status="200"})"), "0");
  EXPECT_EQ(samples.at(R"(heimdall_storage_store_request_duration_seconds_bucket{store="minio",operation="list",le="0.005"})"), "0");
  EXPECT_EQ(samples.at(R"(heimdall_storage_store_request_duration_seconds_bucket{store="minio",operation="list",le="0.01"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_store_request_duration_seconds_bucket{store="minio",operation="list",le="+Inf"})"), "2");
  EXPECT_EQ(samples.at(R"(heimdall_storage_store_retries_total{store="minio",operation="list"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_store_requests_in_flight{store="minio"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_store_requests_in_flight{store="media"})"), "0");
}

TEST_F(MetricsTest, what_nobody_agreed_on_is_counted_as_other) {
  metrics_.request_ended("minio", "list?prefix=secret", "418", 1ms);
  for (int i = 0; i < 1000; ++i) metrics_.http_request("/route/" + std::to_string(i), 200);
  const std::string text = metrics_.render(view_of({photos()}));
  EXPECT_THAT(text, HasSubstr(R"(heimdall_storage_store_requests_total{store="minio",operation="other",status="other"} 1)"));
  EXPECT_THAT(text, Not(HasSubstr("secret")));
  EXPECT_THAT(text, HasSubstr(R"(heimdall_storage_http_requests_total{route="other",code="200"} 800)"));
}

TEST_F(MetricsTest, series_of_what_the_configuration_no_longer_names_are_gone) {
  static_cast<void>(full_view());
  const std::string text = metrics_.render(view_of({audio()}));
  EXPECT_THAT(text, Not(HasSubstr("photos")));
  EXPECT_THAT(text, Not(HasSubstr("minio")));
  EXPECT_THAT(text, Not(HasSubstr("nightly")));
}

TEST_F(MetricsTest, says_how_fast_the_last_listing_was) {
  metrics_.phase_ended("photos", "listing", 2s, 1000);
  metrics_.phase_ended("photos", "listing", 1s, 3000);
  metrics_.phase_ended("photos", "something new", 1s, 1);
  const auto samples = this->samples();
  EXPECT_EQ(samples.at(R"(heimdall_storage_listing_objects_per_second{bucket="photos"})"), "3000");
  EXPECT_EQ(samples.at(R"(heimdall_storage_listed_objects_total{bucket="photos"})"), "4000");
  EXPECT_EQ(samples.at(R"(heimdall_storage_phase_duration_seconds_count{phase="listing"})"), "2");
  EXPECT_EQ(samples.at(R"(heimdall_storage_phase_duration_seconds_count{phase="sweep"})"), "0");
  EXPECT_EQ(samples.at(R"(heimdall_storage_phase_duration_seconds_count{phase="other"})"), "1");
}

TEST_F(MetricsTest, says_what_is_under_way_and_what_is_away) {
  const auto samples = this->samples(full_view());
  EXPECT_EQ(samples.at(R"(heimdall_storage_run_in_progress{task="cleanup"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_run_in_progress{task="stats"})"), "0") << "it waits";
  EXPECT_EQ(samples.at("heimdall_storage_run_queue_length"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_last_attempt_timestamp_seconds{task="cleanup"})"), "1795392826") << "the one under way counts";
  EXPECT_EQ(samples.at(R"(heimdall_storage_up{kind="store",name="minio"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_up{kind="database",name="main"})"), "0");
}

TEST_F(MetricsTest, says_how_the_service_itself_is) {
  metrics_.log_line(LogLevel::error);
  metrics_.http_request("/metrics", 200);
  auto samples = this->samples();
  EXPECT_EQ(samples.at("heimdall_storage_start_time_seconds"), "1795385656");
  EXPECT_EQ(samples.at("heimdall_storage_config_last_reload_successful"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_log_lines_total{level="error"})"), "1");
  EXPECT_EQ(samples.at(R"(heimdall_storage_log_lines_total{level="debug"})"), "0");
  EXPECT_EQ(samples.at(R"(heimdall_storage_http_requests_total{route="/metrics",code="200"})"), "1");
  EXPECT_GT(std::stod(samples.at("process_resident_memory_bytes")), 1e6);
  EXPECT_TRUE(std::any_of(samples.begin(), samples.end(), [](const auto& sample) {
    return sample.first.starts_with("heimdall_storage_build_info{version=\"") && sample.second == "1";
  }));
  metrics_.reloaded(false, kNow);
  samples = this->samples();
  EXPECT_EQ(samples.at("heimdall_storage_config_last_reload_successful"), "0");
  EXPECT_EQ(samples.at("heimdall_storage_config_last_reload_timestamp_seconds"), "1795392856");
  EXPECT_EQ(metrics_.last_reload().status, ConfigReload::Status::failed);
}

TEST_F(MetricsTest, each_line_is_one_that_the_format_allows) {
  const std::regex sample(R"([a-zA-Z_][a-zA-Z0-9_]*(\{[a-zA-Z_]\w*="([^"\\\n]|\\.)*"(,[a-zA-Z_]\w*="([^"\\\n]|\\.)*")*\})? (NaN|[+-]Inf|-?[0-9.]+(e[+-]?[0-9]+)?))");
  const std::regex comment(R"(# (HELP [a-z_]+ [A-Z0-9].*\.|TYPE [a-z_]+ (counter|gauge|histogram)))");
  std::istringstream lines(metrics_.render(full_view()));
  std::string family;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) family = line.substr(7, line.find(' ', 7) - 7);
    EXPECT_TRUE(std::regex_match(line, line.starts_with('#') ? comment : sample)) << line;
    EXPECT_THAT(line, HasSubstr(family)) << "families are not mixed";
  }
}

TEST_F(MetricsTest, the_manual_lists_each_family_and_no_other) {
  std::ifstream manual(HEIMDALL_DOCS "/operations-metrics.md");
  ASSERT_TRUE(manual);
  std::set<std::string> listed;
  const std::regex name("^\\| `((heimdall_storage|process)_[a-z_]+)`");
  for (std::string line; std::getline(manual, line);) {
    std::smatch match;
    if (!std::regex_search(line, match, name)) continue;
    EXPECT_TRUE(listed.insert(match[1]).second) << "twice: " << line;
  }
  EXPECT_EQ(families_of(metrics_.render(full_view())), listed);
}

TEST_F(MetricsTest, is_clean_to_promtool_but_for_the_names_of_the_platform) {
  if (system("command -v promtool > /dev/null 2>&1") != 0) GTEST_SKIP() << "promtool (Debian package prometheus) is not installed";
  const testing::TempDir dir;
  std::ofstream(dir / "metrics") << metrics_.render(full_view());
  FILE* const pipe = popen(("promtool check metrics < '" + (dir / "metrics").string() + "' 2>&1").c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  const std::regex of_the_platform("^heimdall_storage_(disk_usage_gb|bucket_size_gb|orphan_files|orphan_size_gb|total_objects|referenced_objects) .*\n");
  std::string others;
  char line[4096];
  while (fgets(line, sizeof line, pipe) != nullptr) {
    if (!std::regex_match(line, of_the_platform)) others += line;
  }
  pclose(pipe);
  EXPECT_EQ(others, "");
}

TEST_F(MetricsTest, counts_from_several_threads_while_it_is_read) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        metrics_.request_began("minio", "head");
        metrics_.request_ended("minio", "head", "200", 1ms);
        metrics_.log_line(LogLevel::info);
        metrics_.http_request("/livez", 200);
      }
    });
  }
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(metrics_.render(view_of({photos()})).empty());
  threads.clear();
  const auto samples = this->samples();
  EXPECT_EQ(samples.at(R"(heimdall_storage_store_requests_total{store="minio",operation="head",status="200"})"), "2000");
  EXPECT_EQ(samples.at(R"(heimdall_storage_store_requests_in_flight{store="minio"})"), "0");
  EXPECT_EQ(samples.at(R"(heimdall_storage_log_lines_total{level="info"})"), "2000");
  EXPECT_EQ(samples.at(R"(heimdall_storage_http_requests_total{route="/livez",code="200"})"), "2000");
}

}  // namespace
}  // namespace heimdall
