#include "schedule/timing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/text.h"

namespace heimdall {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

Timestamp moment(std::string_view text) { return parse_rfc3339(text).value(); }

// The next `count` times, as the zone's clocks show them.
std::vector<std::string> times(std::string_view expression, std::string_view zone, std::string_view from, int count) {
  const Timing timing = Timing::cron(expression, zone).value();
  std::vector<std::string> result;
  Timestamp at = moment(from);
  for (int i = 0; i < count; ++i) {
    at = timing.next_after(at);
    result.push_back(timing.local_text(at));
  }
  return result;
}

TEST(TimingTest, a_time_in_a_zone_is_that_time_in_summer_and_in_winter) {
  const Timing timing = Timing::cron("0 3 * * *", "Europe/Rome").value();
  EXPECT_EQ(timing.next_after(moment("2026-11-25T12:00:00Z")), moment("2026-11-26T02:00:00Z"));
  EXPECT_EQ(timing.next_after(moment("2026-07-01T12:00:00Z")), moment("2026-07-02T01:00:00Z"));
}

TEST(TimingTest, the_next_time_lies_behind_the_moment) {
  const Timing timing = Timing::cron("0 3 * * *", "UTC").value();
  EXPECT_EQ(timing.next_after(moment("2026-11-25T02:59:59.999999999Z")), moment("2026-11-25T03:00:00Z"));
  EXPECT_EQ(timing.next_after(moment("2026-11-25T03:00:00Z")), moment("2026-11-26T03:00:00Z"));
  EXPECT_EQ(timing.next_after(moment("2026-11-25T03:00:00.000000001Z")), moment("2026-11-26T03:00:00Z"));
}

TEST(TimingTest, a_skipped_time_runs_once_when_the_clocks_go_on) {
  EXPECT_THAT(times("30 2 * * *", "Europe/Rome", "2026-03-27T12:00:00Z", 3),
              ElementsAre("2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"));
  // Every time of the hour falls there; it is one run.
  EXPECT_THAT(times("*/20 2 * * *", "Europe/Rome", "2026-03-28T01:30:00Z", 3),
              ElementsAre("2026-03-28T02:40:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"));
  EXPECT_THAT(times("30 2,3 29 3 *", "Europe/Rome", "2026-01-01T00:00:00Z", 2), ElementsAre("2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"));
}

TEST(TimingTest, a_repeated_time_runs_the_first_time_only) {
  EXPECT_THAT(times("30 2 * * *", "Europe/Rome", "2026-10-24T12:00:00Z", 2), ElementsAre("2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"));
  EXPECT_THAT(times("0,30 2-3 * * *", "Europe/Rome", "2026-10-24T23:59:00Z", 4),
              ElementsAre("2026-10-25T02:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T03:00:00+01:00", "2026-10-25T03:30:00+01:00"));
  // Asked in the middle of the second time.
  EXPECT_THAT(times("45 2 * * *", "Europe/Rome", "2026-10-25T01:10:00Z", 1), ElementsAre("2026-10-26T02:45:00+01:00"));
}

TEST(TimingTest, every_hour_goes_by_the_minutes_that_pass) {
  EXPECT_THAT(times("*/30 * * * *", "Europe/Rome", "2026-10-25T00:00:00Z", 4),
              ElementsAre("2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:00:00+01:00"));
  EXPECT_THAT(times("15 * * * *", "Europe/Rome", "2026-03-29T00:00:00Z", 2), ElementsAre("2026-03-29T01:15:00+01:00", "2026-03-29T03:15:00+02:00"));
  EXPECT_THAT(times("@hourly", "Europe/Rome", "2026-03-29T00:00:00Z", 2), ElementsAre("2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"));
}

TEST(TimingTest, clocks_that_are_set_at_midnight_lose_no_day) {
  EXPECT_THAT(times("0 0 * * *", "Asia/Beirut", "2026-03-27T22:30:00Z", 3),
              ElementsAre("2026-03-29T01:00:00+03:00", "2026-03-30T00:00:00+03:00", "2026-03-31T00:00:00+03:00"));
}

TEST(TimingTest, half_an_hour_of_summer_time) {
  EXPECT_THAT(times("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2),
              ElementsAre("2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"));
  EXPECT_THAT(times("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", 2),
              ElementsAre("2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"));
  EXPECT_THAT(times("45 * * * *", "Australia/Lord_Howe", "2026-04-04T14:30:00Z", 3),
              ElementsAre("2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30", "2026-04-05T02:45:00+10:30"));
}

TEST(TimingTest, offsets_of_quarters_of_an_hour) {
  EXPECT_EQ(Timing::cron("0 3 * * *", "Asia/Kathmandu").value().next_after(moment("2026-01-01T00:00:00Z")), moment("2026-01-01T21:15:00Z"));
  EXPECT_EQ(Timing::cron("0 * * * *", "Asia/Kathmandu").value().next_after(moment("2026-01-01T00:00:00Z")), moment("2026-01-01T00:15:00Z"));
}

TEST(TimingTest, a_day_that_a_country_skipped) {
  EXPECT_THAT(times("0 3 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 4),
              ElementsAre("2011-12-29T03:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T03:00:00+14:00", "2012-01-01T03:00:00+14:00"));
}

TEST(TimingTest, years_end_and_leap_days_come) {
  EXPECT_THAT(times("0 0 1 1 *", "UTC", "2026-11-25T00:00:00Z", 2), ElementsAre("2027-01-01T00:00:00+00:00", "2028-01-01T00:00:00+00:00"));
  EXPECT_THAT(times("59 23 31 12 *", "America/New_York", "2026-12-31T00:00:00Z", 1), ElementsAre("2026-12-31T23:59:00-05:00"));
  EXPECT_THAT(times("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 2), ElementsAre("2028-02-29T00:00:00+00:00", "2032-02-29T00:00:00+00:00"));
  EXPECT_THAT(times("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1), ElementsAre("2104-02-29T00:00:00+00:00"));
  // A leap day that is a Sunday.
  EXPECT_THAT(times("0 0 29 2 */7", "UTC", "2026-01-01T00:00:00Z", 2), ElementsAre("2032-02-29T00:00:00+00:00", "2060-02-29T00:00:00+00:00"));
  EXPECT_THAT(times("0 0 31 * *", "UTC", "2026-01-31T00:00:00Z", 2), ElementsAre("2026-03-31T00:00:00+00:00", "2026-05-31T00:00:00+00:00"));
}

TEST(TimingTest, what_is_never_due_is_refused) {
  for (const char* expression : {"0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30-31 2 */2"}) {
    const auto timing = Timing::cron(expression, "UTC");
    ASSERT_FALSE(timing) << expression;
    EXPECT_EQ(timing.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(timing.error().message, HasSubstr("is never due"));
  }
  // Either day will do, so each Monday of February is one.
  EXPECT_TRUE(Timing::cron("0 0 31 2 mon", "UTC"));
}

TEST(TimingTest, bad_expressions_and_zones_are_refused) {
  EXPECT_THAT(Timing::cron("0 25 * * *", "UTC").error().message, HasSubstr("hour '25'"));
  EXPECT_THAT(Timing::cron("0 3 * * *", "Europe/Roma").error().message, HasSubstr("Europe/Roma"));
}

TEST(TimingTest, an_interval_counts_from_1970) {
  const Timing timing = Timing::every(std::chrono::hours(1)).value();
  EXPECT_EQ(timing.next_after(moment("2026-11-25T12:34:56.7Z")), moment("2026-11-25T13:00:00Z"));
  EXPECT_EQ(timing.next_after(moment("2026-11-25T13:00:00Z")), moment("2026-11-25T14:00:00Z"));
  EXPECT_EQ(timing.next_after(moment("1969-12-31T22:30:00Z")), moment("1969-12-31T23:00:00Z"));
  EXPECT_EQ(Timing::every(std::chrono::seconds(7)).value().next_after(Timestamp{}), Timestamp(std::chrono::seconds(7)));
}

TEST(TimingTest, an_interval_is_at_least_a_second_and_at_most_a_year) {
  EXPECT_THAT(Timing::every(milliseconds(999)).error().message, HasSubstr("from 1s to 366d, not 999ms"));
  EXPECT_FALSE(Timing::every(milliseconds(0)));
  EXPECT_FALSE(Timing::every(milliseconds(-1)));
  EXPECT_FALSE(Timing::every(std::chrono::hours(24 * 367)));
  EXPECT_TRUE(Timing::every(std::chrono::seconds(1)));
}

TEST(TimingTest, says_for_people_what_it_is) {
  EXPECT_EQ(Timing::cron("0 3 * * *", "Europe/Rome").value().text(), "0 3 * * * (Europe/Rome)");
  EXPECT_EQ(Timing::every(std::chrono::hours(1)).value().text(), "every 1h");
  EXPECT_EQ(Timing().text(), "every 1h");
  EXPECT_EQ(Timing().time_zone(), "UTC");
  EXPECT_EQ(Timing().local_text(moment("2026-11-25T13:00:00Z")), "2026-11-25T13:00:00+00:00");
}

TEST(TimingTest, far_times_are_found_quickly) {
  const Timing timing = Timing::cron("0 0 29 2 */7", "Europe/Rome").value();
  Timestamp at = moment("2026-01-01T00:00:00Z");
  for (int i = 0; i < 1000; ++i) at = timing.next_after(moment("2026-01-01T00:00:00Z") + std::chrono::seconds(i));
  EXPECT_EQ(at, moment("2032-02-28T23:00:00Z"));
}

TEST(TimingTest, the_end_of_all_timestamps_is_reached_without_harm) {
  EXPECT_EQ(Timing::cron("0 0 1 1 *", "UTC").value().next_after(moment("2261-06-01T00:00:00Z")), Timestamp::max());
}

}  // namespace
}  // namespace heimdall
