#include "cli/sparkline.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>
#include <map>
#include <vector>

namespace heimdall {
namespace {

constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();

TEST(Sparkline, goes_from_the_lowest_value_to_the_highest) {
  const std::vector<std::uint64_t> rising = {10, 11, 12, 13, 14, 15, 16, 17};
  EXPECT_EQ(sparkline(rising, SparkStyle::blocks), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(sparkline(rising, SparkStyle::ascii), "_.:-=+*#");
}

TEST(Sparkline, equal_values_are_low_and_no_values_are_no_line) {
  EXPECT_EQ(sparkline(std::vector<std::uint64_t>{7, 7, 7}, SparkStyle::ascii), "___");
  EXPECT_EQ(sparkline(std::vector<std::uint64_t>{0}, SparkStyle::blocks), "▁");
  EXPECT_EQ(sparkline({}, SparkStyle::blocks), "");
}

TEST(Sparkline, takes_the_largest_numbers_there_are) {
  EXPECT_EQ(sparkline(std::vector<std::uint64_t>{0, kMax, kMax - 1}, SparkStyle::ascii), "_##");
}

RC_GTEST_PROP(Sparkline, has_one_character_for_each_value_and_keeps_their_order, (const std::vector<std::uint64_t>& values)) {
  constexpr std::string_view kLevels = "_.:-=+*#";
  const std::string line = sparkline(values, SparkStyle::ascii);
  RC_ASSERT(line.size() == values.size());
  for (std::size_t i = 1; i < values.size(); ++i) {
    if (values[i - 1] <= values[i]) RC_ASSERT(kLevels.find(line[i - 1]) <= kLevels.find(line[i]));
  }
}

TEST(Sparkline, the_first_variable_that_is_set_tells_the_character_set) {
  const auto with = [](std::map<std::string, std::string> variables) {
    return is_utf8_locale([variables](const std::string& name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional(found->second);
    });
  };
  EXPECT_TRUE(with({{"LANG", "de_DE.UTF-8"}}));
  EXPECT_TRUE(with({{"LC_CTYPE", "C.utf8"}, {"LANG", "C"}}));
  EXPECT_TRUE(with({{"LC_ALL", ""}, {"LANG", "en_US.UTF-8"}}));
  EXPECT_FALSE(with({{"LC_ALL", "C"}, {"LANG", "en_US.UTF-8"}}));
  EXPECT_FALSE(with({{"LANG", "de_DE.ISO-8859-1"}}));
  EXPECT_FALSE(with({}));
}

}  // namespace
}  // namespace heimdall
