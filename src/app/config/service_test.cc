#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "app/config/config.h"
#include "app/config/test_text.h"
#include "base/text.h"

namespace heimdall {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// One schedule, in line 9; `{` stands in column 5.
std::string with_schedule(std::string_view keys) { return config_text("schedules:\n  - {" + std::string(keys) + "}\n"); }
std::string problems_of_schedule(std::string_view keys) { return problems_of(with_schedule(keys)); }
ScheduleConfig schedule_of(std::string_view keys) { return parse_text(with_schedule(keys)).value().schedules.at(0); }

TEST(ServiceConfig, the_schedules_of_the_platform) {
  const std::string text = config_text(
      "schedules:\n"
      "  - {name: minio-lifecycle-cleanup, task: cleanup, cron: \"0 3 * * *\", time_zone: Europe/Rome}\n"
      "  - {name: minio-storage-stats, task: stats, every: 1h}\n");
  ASSERT_EQ(problems_of(text), "accepted");
  const Config config = parse_text(text).value();
  ASSERT_EQ(config.schedules.size(), 2U);
  const ScheduleConfig& cleanup = config.schedules[0];
  EXPECT_EQ(cleanup.name, "minio-lifecycle-cleanup");
  EXPECT_EQ(cleanup.task, ScheduledTask::cleanup);
  EXPECT_EQ(cleanup.timing.text(), "0 3 * * * (Europe/Rome)");
  EXPECT_EQ(rfc3339(cleanup.timing.next_after(parse_rfc3339("2026-11-25T12:00:00Z").value())), "2026-11-26T02:00:00Z");
  EXPECT_THAT(cleanup.buckets, IsEmpty());
  EXPECT_EQ(cleanup.jitter, minutes(0));
  EXPECT_EQ(cleanup.retries, 3U);
  EXPECT_EQ(config.schedules[1].task, ScheduledTask::stats);
  EXPECT_EQ(config.schedules[1].timing.text(), "every 1h");
}

TEST(ServiceConfig, a_schedule_with_all_its_keys) {
  const ScheduleConfig schedule = schedule_of("name: n, task: stats, cron: \"@daily\", time_zone: Asia/Kathmandu, buckets: [photos], jitter: 5m, retries: 0");
  EXPECT_EQ(schedule.timing.text(), "@daily (Asia/Kathmandu)");
  EXPECT_THAT(schedule.buckets, ElementsAre("photos"));
  EXPECT_EQ(schedule.jitter, minutes(5));
  EXPECT_EQ(schedule.retries, 0U);
  EXPECT_EQ(schedule_of("name: n, task: stats, cron: \"0 3 * * *\"").timing.text(), "0 3 * * * (UTC)");
}

TEST(ServiceConfig, a_schedule_is_due_by_cron_or_by_an_interval) {
  EXPECT_EQ(problems_of_schedule("name: n, task: cleanup"), "9:5: a schedule needs either 'cron' or 'every'");
  EXPECT_EQ(problems_of_schedule("name: n, task: cleanup, every: 1h, cron: \"0 3 * * *\""), "9:5: a schedule needs either 'cron' or 'every'");
  EXPECT_THAT(problems_of_schedule("name: n, task: cleanup, every: 1h, time_zone: UTC"), StartsWith("9:52: 'time_zone' belongs to 'cron'"));
}

TEST(ServiceConfig, a_wrong_time_is_refused_at_its_place) {
  EXPECT_EQ(problems_of_schedule("name: n, task: stats, cron: \"0 25 * * *\""),
            "9:34: cron '0 25 * * *': the hour '25' is out of range; allowed are 0-23, `*`, lists (1,3), ranges (1-5) and steps (*/2, 1-5/2)");
  EXPECT_THAT(problems_of_schedule("name: n, task: stats, cron: \"0 0 31 2 *\""), StartsWith("9:34: cron '0 0 31 2 *' is never due"));
  EXPECT_THAT(problems_of_schedule("name: n, task: stats, cron: \"0 3 * * *\", time_zone: Europe/Roma"),
              StartsWith("9:58: there is no time zone 'Europe/Roma'; did you mean 'Europe/Rome'?"));
  // Both at once.
  EXPECT_THAT(problems_of_schedule("name: n, task: stats, cron: \"0 3 * *\", time_zone: Mars"),
              AllOf(HasSubstr("9:34: cron '0 3 * *': 4 fields, not five"), HasSubstr("9:56: there is no time zone 'Mars'")));
  EXPECT_THAT(problems_of_schedule("name: n, task: stats, every: 500ms"), StartsWith("9:35: 'every': an interval must be from 1s to 366d, not 500ms"));
  EXPECT_THAT(problems_of_schedule("name: n, task: stats, every: 60"), StartsWith("9:35: 'every' needs a unit; write 60m for minutes"));
}

TEST(ServiceConfig, a_schedule_has_a_name_of_its_own_and_a_task) {
  EXPECT_EQ(problems_of_schedule("task: stats, every: 1h"), "9:5: a schedule needs the key 'name'");
  EXPECT_EQ(problems_of_schedule("name: n, every: 1h"), "9:5: a schedule needs the key 'task'");
  EXPECT_THAT(problems_of_schedule("name: a/b, task: stats, every: 1h"), StartsWith("9:12: 'a/b' cannot be a name"));
  EXPECT_EQ(problems_of_schedule("name: n, task: clean, every: 1h"), "9:21: 'task' must be one of cleanup, stats, not 'clean'");
  EXPECT_EQ(problems_of(config_text("schedules:\n  - {name: n, task: stats, every: 1h}\n  - {name: n, task: cleanup, every: 1d}\n")),
            "10:12: the name 'n' already names a schedule in line 9");
  EXPECT_THAT(problems_of_schedule("name: n, task: stats, every: 1h, retrys: 1"),
              StartsWith("9:39: unknown key 'retrys' in a schedule; did you mean 'retries'? known: name, task, "));
  EXPECT_THAT(problems_of(config_text("schedules: {name: n}\n")), StartsWith("8:12: 'schedules' must be a list"));
}

TEST(ServiceConfig, the_buckets_of_a_schedule_are_configured_ones) {
  EXPECT_EQ(problems_of_schedule("name: n, task: stats, every: 1h, buckets: [foto]"), "9:49: there is no bucket 'foto' (configured: photos)");
  EXPECT_THAT(problems_of_schedule("name: n, task: stats, every: 1h, buckets: [photo]"), HasSubstr("did you mean 'photos'?"));
  EXPECT_EQ(problems_of_schedule("name: n, task: stats, every: 1h, buckets: [photos, photos]"), "9:57: 'photos' stands twice in 'buckets'");
  EXPECT_THAT(problems_of_schedule("name: n, task: stats, every: 1h, buckets: []"), StartsWith("9:48: 'buckets' is empty"));
}

TEST(ServiceConfig, jitter_and_retries_have_bounds) {
  EXPECT_EQ(problems_of_schedule("name: n, task: stats, every: 1h, jitter: 1h"), "9:47: 'jitter' must be shorter than the time between two runs, 1h");
  EXPECT_EQ(problems_of_schedule("name: n, task: stats, cron: \"0 3,5 * * *\", jitter: 3h"), "9:57: 'jitter' must be shorter than the time between two runs, 2h");
  EXPECT_EQ(problems_of_schedule("name: n, task: stats, cron: \"0 0 1 * *\", jitter: 2d"), "9:55: 'jitter' must be at most 1d");
  EXPECT_THAT(problems_of_schedule("name: n, task: stats, every: 1h, retries: 4"), StartsWith("9:48: 'retries' must be a whole number from 0 to 3"));
}

TEST(ServiceConfig, http_says_where_to_listen_and_where_the_token_is) {
  const Config config = parse_text(config_text("http: {listen: \"[::1]:9\", token_file: secrets/token}\n")).value();
  ASSERT_TRUE(config.http);
  EXPECT_EQ(config.http->listen, "[::1]:9");
  EXPECT_EQ(config.http->token.file, "/srv/secrets/token");
  EXPECT_EQ(parse_text(config_text("http: {token_env: T}\n")).value().http->listen, "127.0.0.1:8001");
  EXPECT_EQ(parse_text(config_text()).value().http.has_value(), false);
  EXPECT_THAT(problems_of(config_text("http: {lisen: x}\n")), HasSubstr("8:8: unknown key 'lisen' in the section 'http'; did you mean 'listen'?"));
  EXPECT_THAT(problems_of(config_text("http: {token: hunter2}\n")), AllOf(HasSubstr("8:8: 'token' would hold a secret"), testing::Not(HasSubstr("hunter2"))));
  EXPECT_THAT(problems_of(config_text("http: {token_env: A, token_file: b}\n")), HasSubstr("exclude each other"));
  EXPECT_THAT(problems_of(config_text("http: {listen: \"8001\"}\n")), StartsWith("8:16: 'listen': '8001' has no address; write an address and a port"));
}

TEST(ServiceConfig, addresses_have_a_host_and_a_port) {
  for (const char* address : {"127.0.0.1:8001", "0.0.0.0:0", "localhost:65535", "[::]:8001", "[fe80::1%eth0]:1", "storage.example-1.org:80"}) {
    EXPECT_TRUE(check_listen_address(address)) << address;
  }
  for (const char* address : {"", "8001", ":8001", "localhost", "localhost:", "localhost:http", "localhost:65536", "localhost:-1", "::1:8001", "[::1]", "[::1",
                              "[]:1", "[::1]8001", "http://127.0.0.1:8001", "a b:1", "127.0.0.1:8001/x", "127.0.0.1:+1"}) {
    const auto checked = check_listen_address(address);
    ASSERT_FALSE(checked) << address;
    EXPECT_EQ(checked.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(checked.error().hint, HasSubstr("127.0.0.1:8001"));
  }
}

TEST(ServiceConfig, health_has_two_thresholds) {
  const auto health = [](std::string_view keys) { return parse_text(config_text("health: {" + std::string(keys) + "}\n")).value().health; };
  EXPECT_EQ(health("warning_ratio: 0.05, critical_ratio: 0.5").warning, 0.05);
  EXPECT_EQ(health("warning_ratio: 0.05, critical_ratio: 0.5").critical, 0.5);
  EXPECT_EQ(health("warning_ratio: 0.2").critical, 0.25);
  EXPECT_EQ(health("warning_ratio: 1, critical_ratio: 1").warning, 1);
  EXPECT_EQ(parse_text(config_text()).value().health.warning, 0.10);
  EXPECT_EQ(problems_of(config_text("health: {warning_ratio: 0.5, critical_ratio: 0.25}\n")),
            "8:25: 'warning_ratio' (0.5) is above 'critical_ratio' (0.25)");
  EXPECT_EQ(problems_of(config_text("health: {critical_ratio: 0.05}\n")), "8:26: 'warning_ratio' (0.1 by default) is above 'critical_ratio' (0.05)");
  EXPECT_THAT(problems_of(config_text("health: {warning_ratio: 10}\n")), StartsWith("8:25: 'warning_ratio' must be a number from 0 to 1"));
  EXPECT_THAT(problems_of(config_text("health: {warning: 0.1}\n")), HasSubstr("unknown key 'warning' in the section 'health'"));
}

TEST(ServiceConfig, runs_are_kept_for_a_day_at_least) {
  EXPECT_EQ(parse_text(config_text()).value().keep_runs, hours(24 * 90));
  EXPECT_EQ(parse_text(config_text("state: {keep_runs: 1d}\n")).value().keep_runs, hours(24));
  EXPECT_EQ(problems_of(config_text("state: {keep_runs: 23h}\n")), "8:20: 'keep_runs' must be at least 1d");
  EXPECT_THAT(problems_of(config_text("state: {keep_run: 2d}\n")), HasSubstr("did you mean 'keep_runs'? known: path, keep_runs"));
}

}  // namespace
}  // namespace heimdall
