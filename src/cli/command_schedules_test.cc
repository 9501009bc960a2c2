#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/commands.h"
#include "testing/fake_clock.h"
#include "testing/temp_dir.h"

namespace heimdall {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kStores =
    "stores: {media: {type: directory, path: ./media}}\n"
    "buckets: [{name: photos, store: media, references: [{list: keys}]}]\n";

constexpr std::string_view kSchedules =
    "schedules:\n"
    "  - {name: nightly, task: cleanup, cron: \"0 3 * * *\", time_zone: Europe/Rome, jitter: 5m}\n"
    "  - {name: hourly, task: stats, every: 1h}\n";

class SchedulesTest : public ::testing::Test {
 protected:
  std::string run(std::string_view schedules, std::unique_ptr<Output> output, std::string_view from = "2026-03-29T00:00:00Z", std::uint64_t count = 2) {
    const std::string path = directory_ / "h.yaml";
    std::ofstream(path) << kStores << schedules;
    Options options;
    options.command = Command::schedules;
    options.config = path;
    options.from = parse_rfc3339(from);
    options.count = count;
    NoProgress progress;
    CommandContext context{options, *output, progress, clock_, {}};
    ::testing::internal::CaptureStdout();
    exit_ = command_schedules(context);
    return ::testing::internal::GetCapturedStdout();
  }

  heimdall::testing::TempDir directory_;
  heimdall::testing::FakeClock clock_;
  ExitCode exit_ = ExitCode::failure;
};

TEST_F(SchedulesTest, lists_the_next_times_in_their_order_in_utc_and_there) {
  EXPECT_EQ(run(kSchedules, make_text_output()),
            "schedule  task     due\n"
            "nightly   cleanup  0 3 * * * (Europe/Rome), up to 5m late\n"
            "hourly    stats    every 1h\n"
            "\n"
            "UTC                   there                      schedule\n"
            "2026-03-29T01:00:00Z  2026-03-29T03:00:00+02:00  nightly\n"
            "2026-03-29T01:00:00Z  2026-03-29T01:00:00+00:00  hourly\n"
            "2026-03-29T02:00:00Z  2026-03-29T02:00:00+00:00  hourly\n"
            "2026-03-30T01:00:00Z  2026-03-30T03:00:00+02:00  nightly\n");
  EXPECT_EQ(exit_, ExitCode::ok);
}

TEST_F(SchedulesTest, prints_a_line_of_json_for_each) {
  const std::string text = run(kSchedules, make_json_output(), "2026-11-25T00:00:00Z", 1);
  const auto line = nlohmann::json::parse(text.substr(0, text.find('\n')));
  EXPECT_EQ(line["type"], "schedule");
  EXPECT_EQ(line["name"], "hourly");
  EXPECT_EQ(line["task"], "stats");
  EXPECT_EQ(line["at"], "2026-11-25T01:00:00Z");
  EXPECT_EQ(line["local"], "2026-11-25T01:00:00+00:00");
  EXPECT_EQ(line["time_zone"], "UTC");
  EXPECT_THAT(text, HasSubstr(R"({"type":"schedule","name":"nightly","task":"cleanup","at":"2026-11-25T02:00:00Z","local":"2026-11-25T03:00:00+01:00","time_zone":"Europe/Rome"})"));
  EXPECT_THAT(text, HasSubstr(R"({"type":"summary","status":"success"})"));
}

TEST_F(SchedulesTest, says_how_to_write_one_if_there_is_none) {
  EXPECT_THAT(run("", make_text_output()), AllOf(HasSubstr("No schedule is configured."), HasSubstr("schedules: [{name: nightly")));
  EXPECT_EQ(exit_, ExitCode::ok);
  EXPECT_THAT(run("schedules: []\n", make_json_output()), AllOf(HasSubstr(R"("type":"summary")"), Not(HasSubstr("schedule\""))));
}

TEST_F(SchedulesTest, fails_with_the_place_of_a_bad_time) {
  EXPECT_THAT(run("schedules: [{name: n, task: stats, cron: \"0 25 * * *\"}]\n", make_json_output()), HasSubstr("h.yaml:3:42: cron '0 25 * * *'"));
  EXPECT_EQ(exit_, ExitCode::configuration);
}

}  // namespace
}  // namespace heimdall
