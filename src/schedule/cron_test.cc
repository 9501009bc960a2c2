#include "schedule/cron.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace heimdall {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string problem(std::string_view text) {
  const auto cron = CronExpression::parse(text);
  return cron ? "accepted" : cron.error().message;
}

std::string hint(std::string_view text) { return CronExpression::parse(text).error().hint; }

std::vector<int> minutes(std::string_view text) {
  const CronExpression cron = CronExpression::parse(text).value();
  std::vector<int> result;
  for (int minute = 0; minute < 60; ++minute) {
    if (cron.matches_minute(minute)) result.push_back(minute);
  }
  return result;
}

std::vector<int> weekdays(std::string_view field) {
  const CronExpression cron = CronExpression::parse("0 0 * * " + std::string(field)).value();
  std::vector<int> result;
  for (int weekday = 0; weekday < 7; ++weekday) {
    if (cron.matches_date(1, 1, weekday)) result.push_back(weekday);
  }
  return result;
}

TEST(CronExpressionTest, lists_ranges_and_steps_name_values) {
  EXPECT_THAT(minutes("7 * * * *"), ElementsAre(7));
  EXPECT_THAT(minutes("07,5,5 * * * *"), ElementsAre(5, 7));
  EXPECT_THAT(minutes("*/15 * * * *"), ElementsAre(0, 15, 30, 45));
  EXPECT_THAT(minutes("1-9/4 * * * *"), ElementsAre(1, 5, 9));
  EXPECT_THAT(minutes("58-59,3-3 * * * *"), ElementsAre(3, 58, 59));
  EXPECT_EQ(minutes("* * * * *").size(), 60U);
}

TEST(CronExpressionTest, blanks_and_tabs_separate_fields) { EXPECT_THAT(minutes("  7\t*  * * *  "), ElementsAre(7)); }

TEST(CronExpressionTest, names_of_months_and_weekdays_are_understood_in_any_case) {
  const CronExpression cron = CronExpression::parse("0 0 1 JAN,mar-May *").value();
  std::vector<int> months;
  for (int month = 1; month <= 12; ++month) {
    if (cron.matches_month(month)) months.push_back(month);
  }
  EXPECT_THAT(months, ElementsAre(1, 3, 4, 5));
  EXPECT_THAT(weekdays("Mon-FRI"), ElementsAre(1, 2, 3, 4, 5));
}

TEST(CronExpressionTest, sunday_is_0_and_7_and_may_end_a_week) {
  EXPECT_THAT(weekdays("0"), ElementsAre(0));
  EXPECT_THAT(weekdays("7"), ElementsAre(0));
  EXPECT_THAT(weekdays("5-7"), ElementsAre(0, 5, 6));
  EXPECT_THAT(weekdays("fri-sun"), ElementsAre(0, 5, 6));
  EXPECT_THAT(weekdays("sun-tue"), ElementsAre(0, 1, 2));
  EXPECT_THAT(weekdays("*/3"), ElementsAre(0, 3, 6));
}

TEST(CronExpressionTest, either_day_will_do_if_both_are_restricted) {
  const CronExpression cron = CronExpression::parse("0 0 13 * fri").value();
  EXPECT_TRUE(cron.matches_date(1, 13, 1));
  EXPECT_TRUE(cron.matches_date(1, 2, 5));
  EXPECT_FALSE(cron.matches_date(1, 2, 1));
}

TEST(CronExpressionTest, both_days_must_fit_if_one_begins_with_a_star) {
  const CronExpression every_other = CronExpression::parse("0 0 */2 * fri").value();
  EXPECT_TRUE(every_other.matches_date(1, 3, 5));
  EXPECT_FALSE(every_other.matches_date(1, 3, 1));
  EXPECT_FALSE(every_other.matches_date(1, 2, 5));
  EXPECT_FALSE(CronExpression::parse("0 0 13 * *").value().matches_date(1, 2, 5));
  EXPECT_FALSE(CronExpression::parse("0 0 13 feb *").value().matches_date(1, 13, 5));
}

TEST(CronExpressionTest, nicknames_stand_for_expressions) {
  EXPECT_THAT(minutes("@hourly"), ElementsAre(0));
  EXPECT_TRUE(CronExpression::parse("@hourly").value().takes_every_hour());
  const CronExpression daily = CronExpression::parse("@Daily").value();
  EXPECT_TRUE(daily.matches_hour(0));
  EXPECT_FALSE(daily.matches_hour(1));
  for (const char* name : {"@midnight", "@weekly", "@monthly", "@yearly", "@annually"}) EXPECT_EQ(problem(name), "accepted") << name;
  EXPECT_FALSE(CronExpression::parse("@yearly").value().matches_date(2, 1, 0));
}

TEST(CronExpressionTest, every_hour_is_known_however_it_is_written) {
  EXPECT_TRUE(CronExpression::parse("5 0-23 * * *").value().takes_every_hour());
  EXPECT_TRUE(CronExpression::parse("5 */1 * * *").value().takes_every_hour());
  EXPECT_FALSE(CronExpression::parse("5 */2 * * *").value().takes_every_hour());
}

TEST(CronExpressionTest, errors_name_the_field_what_is_wrong_and_what_is_allowed) {
  EXPECT_EQ(problem("0 25 * * *"), "cron '0 25 * * *': the hour '25' is out of range");
  EXPECT_EQ(hint("0 25 * * *"), "allowed are 0-23, `*`, lists (1,3), ranges (1-5) and steps (*/2, 1-5/2)");
  EXPECT_THAT(problem("60 * * * *"), HasSubstr("the minute '60' is out of range"));
  EXPECT_THAT(problem("0 0 0 * *"), HasSubstr("the day of month '0' is out of range"));
  EXPECT_THAT(problem("0 0 * 13 *"), HasSubstr("the month '13' is out of range"));
  EXPECT_THAT(problem("0 0 * * 8"), HasSubstr("the day of week '8' is out of range"));
  EXPECT_THAT(hint("0 0 * * 8"), HasSubstr("0-7 (0 and 7 are Sunday) or sun-sat"));
  EXPECT_THAT(problem("0 0 * * monday"), HasSubstr("the day of week 'monday' is not a value; did you mean 'mon'?"));
  EXPECT_THAT(problem("0 0 * jen *"), HasSubstr("the month 'jen' is not a value; did you mean"));
  EXPECT_THAT(problem("99999999999999999999 0 * * *"), HasSubstr("is out of range"));
  EXPECT_THAT(problem("1,,2 * * * *"), HasSubstr("the minute '1,,2' has a comma without a value"));
  EXPECT_THAT(problem("1, * * * *"), HasSubstr("has a comma without a value"));
  EXPECT_THAT(problem("-5 * * * *"), HasSubstr("the minute misses a value"));
  EXPECT_THAT(problem("0 22-2 * * *"), HasSubstr("the hour '22-2' runs backwards; write it as two ranges"));
  EXPECT_THAT(problem("0 0 * * fri-mon"), HasSubstr("'fri-mon' runs backwards"));
  EXPECT_THAT(problem("5/10 * * * *"), HasSubstr("the minute '5/10' has a step but no range; write '5-59/...'"));
  EXPECT_THAT(problem("*/0 * * * *"), HasSubstr("has a step that is not from 1 to 59"));
  EXPECT_THAT(problem("*/90 * * * *"), HasSubstr("the minute '*/90' has a step that is not from 1 to 59"));
  EXPECT_THAT(problem("*/x * * * *"), HasSubstr("needs a number behind '/'"));
  EXPECT_THAT(problem("1-2-3 * * * *"), HasSubstr("'2-3' is not a value"));
  EXPECT_THAT(problem("0 0 L * *"), HasSubstr("the day of month 'L' is not a value"));
}

TEST(CronExpressionTest, another_number_of_fields_is_refused) {
  EXPECT_EQ(problem("0 3 * *"), "cron '0 3 * *': 4 fields, not five");
  EXPECT_THAT(hint("0 3 * *"), HasSubstr("minute, hour, day of month, month, day of week"));
  EXPECT_EQ(problem("0 0 3 * * *"), "cron '0 0 3 * * *': 6 fields, not five");
  EXPECT_THAT(hint("0 0 3 * * *"), HasSubstr("there are no seconds and no years"));
  EXPECT_EQ(problem(""), "cron '': 0 fields, not five");
  EXPECT_THAT(problem("@dayly"), HasSubstr("'@dayly' is not known; did you mean '@daily'?"));
  EXPECT_THAT(problem("@reboot"), HasSubstr("'@reboot' is not known"));
}

TEST(CronExpressionTest, a_hostile_text_is_shown_harmless_and_short) {
  const std::string message = problem("0 0 * * \x1b[31m" + std::string(10'000, 'x'));
  EXPECT_THAT(message, HasSubstr("\\x1b"));
  EXPECT_LT(message.size(), 300U);
}

}  // namespace
}  // namespace heimdall
