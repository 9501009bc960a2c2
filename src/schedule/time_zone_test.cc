#include "schedule/time_zone.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace heimdall {
namespace {

using testing::HasSubstr;

TimeZone zone(std::string_view name) { return TimeZone::load(name).value(); }
Timestamp moment(std::string_view text) { return parse_rfc3339(text).value(); }

TEST(TimeZoneTest, shows_what_the_clocks_of_a_place_show) {
  const CivilMinute rome = zone("Europe/Rome").at(moment("2026-11-25T02:00:59.9Z"));
  EXPECT_EQ(rome.year, 2026);
  EXPECT_EQ(rome.month, 11);
  EXPECT_EQ(rome.day, 25);
  EXPECT_EQ(rome.hour, 3);
  EXPECT_EQ(rome.minute, 0);
  EXPECT_EQ(rome.weekday, 3);
  EXPECT_EQ(zone("UTC").at(moment("2026-11-29T00:00:00Z")).weekday, 0);
  EXPECT_EQ(zone("Asia/Kathmandu").at(moment("2026-01-01T00:00:00Z")).minute, 45);
}

TEST(TimeZoneTest, writes_the_offset) {
  EXPECT_EQ(zone("Europe/Rome").text(moment("2026-11-25T02:00:00.5Z")), "2026-11-25T03:00:00+01:00");
  EXPECT_EQ(zone("Europe/Rome").text(moment("2026-07-01T02:00:00Z")), "2026-07-01T04:00:00+02:00");
  EXPECT_EQ(zone("Asia/Kathmandu").text(moment("2026-01-01T00:00:00Z")), "2026-01-01T05:45:00+05:45");
  EXPECT_EQ(zone("UTC").text(moment("2026-01-01T00:00:00Z")), "2026-01-01T00:00:00+00:00");
}

TEST(TimeZoneTest, a_skipped_time_is_the_end_of_the_gap_and_a_repeated_one_the_first) {
  const TimeZone rome = zone("Europe/Rome");
  EXPECT_EQ(rome.moment_of({2026, 3, 29, 1, 59}), moment("2026-03-29T00:59:00Z"));
  EXPECT_EQ(rome.moment_of({2026, 3, 29, 2, 30}), moment("2026-03-29T01:00:00Z"));
  EXPECT_EQ(rome.moment_of({2026, 3, 29, 3, 0}), moment("2026-03-29T01:00:00Z"));
  EXPECT_EQ(rome.moment_of({2026, 10, 25, 2, 30}), moment("2026-10-25T00:30:00Z"));
  EXPECT_EQ(rome.moment_of({2026, 10, 25, 3, 0}), moment("2026-10-25T02:00:00Z"));
  EXPECT_EQ(zone("Pacific/Apia").moment_of({2011, 12, 30, 12, 0}), moment("2011-12-30T10:00:00Z"));
}

TEST(TimeZoneTest, knows_when_the_clocks_are_set) {
  const TimeZone rome = zone("Europe/Rome");
  EXPECT_EQ(rome.next_change(moment("2026-01-01T00:00:00Z")), moment("2026-03-29T01:00:00Z"));
  EXPECT_EQ(rome.next_change(moment("2026-03-29T01:00:00Z")), moment("2026-10-25T01:00:00Z"));
  EXPECT_EQ(rome.next_change(moment("2126-01-01T00:00:00Z")), moment("2126-03-31T01:00:00Z"));
  EXPECT_EQ(zone("UTC").next_change(moment("2026-01-01T00:00:00Z")), std::nullopt);
}

TEST(TimeZoneTest, unknown_zones_are_refused_with_the_nearest_name) {
  for (const char* name : {"", "Europe/Rom", "/etc/localtime", "../../etc/passwd", "file:Europe/Rome", "localtime", "Europe", "Fixed/UTC+01:00:00"}) {
    const auto loaded = TimeZone::load(name);
    ASSERT_FALSE(loaded) << name;
    EXPECT_EQ(loaded.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(loaded.error().message, HasSubstr("there is no time zone '" + std::string(name) + "'"));
  }
  EXPECT_THAT(TimeZone::load("Europe/Roma").error().message, HasSubstr("did you mean 'Europe/Rome'?"));
  EXPECT_THAT(TimeZone::load("europe/rome").error().message, HasSubstr("did you mean 'Europe/Rome'?"));
  EXPECT_THAT(TimeZone::load("x").error().hint, HasSubstr("Europe/Rome"));
}

}  // namespace
}  // namespace heimdall
