#include "daemon/metrics_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

namespace heimdall {
namespace {

using Type = MetricsText::Type;

TEST(MetricsTextTest, says_help_and_type_once_before_the_samples) {
  MetricsText text;
  text.family(Type::gauge, "disk_bytes", "Bytes on disk.");
  text.add(MetricLabels{{"disk", "a"}}, 1U);
  text.add(MetricLabels{{"disk", "b"}}, MetricLabels{{"state", "free"}}, 2U);
  text.family(Type::counter, "reads_total", "Reads.");
  text.add({}, 3U);
  EXPECT_EQ(std::move(text).take(),
            "# HELP disk_bytes Bytes on disk.\n"
            "# TYPE disk_bytes gauge\n"
            "disk_bytes{disk=\"a\"} 1\n"
            "disk_bytes{disk=\"b\",state=\"free\"} 2\n"
            "# HELP reads_total Reads.\n"
            "# TYPE reads_total counter\n"
            "reads_total 3\n");
}

TEST(MetricsTextTest, escapes_what_would_end_a_label_or_a_line) {
  EXPECT_EQ((MetricLabels{{"name", "a\"b\\c\nd"}, {"other", "\xC3\xA4{}"}}).text(), "name=\"a\\\"b\\\\c\\nd\",other=\"\xC3\xA4{}\"");
  MetricsText text;
  text.family(Type::gauge, "x", "One\nline with a \\ and \"quotes\".");
  EXPECT_EQ(std::move(text).take(), "# HELP x One\\nline with a \\\\ and \"quotes\".\n# TYPE x gauge\n");
}

TEST(MetricsTextTest, writes_integers_without_losing_a_digit) {
  MetricsText text;
  text.family(Type::gauge, "x", "X.");
  text.add({}, std::numeric_limits<std::uint64_t>::max());
  text.add({}, std::uint64_t{9007199254740993});
  EXPECT_TRUE(std::move(text).take().ends_with("\nx 18446744073709551615\nx 9007199254740993\n"));
}

TEST(MetricsTextTest, writes_floats_so_that_they_read_back_as_they_were) {
  EXPECT_EQ(metric_number(0), "0");
  EXPECT_EQ(metric_number(3), "3");
  EXPECT_EQ(metric_number(1795392856), "1795392856");
  EXPECT_EQ(metric_number(9007199254740992), "9007199254740992");
  EXPECT_EQ(metric_number(0.25), "0.25");
  EXPECT_EQ(metric_number(0.1), "0.1");
  EXPECT_EQ(metric_number(-2), "-2");
  for (const double value : {1.0 / 3, 1e300, 5e-324, 1795392856.123456, 244.0000000123, -0.1, 1e17}) {
    EXPECT_EQ(std::strtod(metric_number(value).c_str(), nullptr), value) << metric_number(value);
  }
}

TEST(MetricsTextTest, names_what_is_no_number_as_the_format_does) {
  EXPECT_EQ(metric_number(std::numeric_limits<double>::infinity()), "+Inf");
  EXPECT_EQ(metric_number(-std::numeric_limits<double>::infinity()), "-Inf");
  EXPECT_EQ(metric_number(std::nan("")), "NaN");
}

TEST(MetricsTextTest, buckets_of_a_histogram_hold_all_that_is_below_their_bound) {
  MetricsText text;
  text.family(Type::histogram, "took_seconds", "Time.");
  const std::vector<double> bounds = {0.5, 10};
  const std::vector<std::uint64_t> counts = {2, 0, 1};
  text.add_histogram(MetricLabels{{"op", "list"}}, bounds, counts, 20.5);
  text.add_histogram({}, bounds, counts, 0);
  EXPECT_EQ(std::move(text).take(),
            "# HELP took_seconds Time.\n"
            "# TYPE took_seconds histogram\n"
            "took_seconds_bucket{op=\"list\",le=\"0.5\"} 2\n"
            "took_seconds_bucket{op=\"list\",le=\"10\"} 2\n"
            "took_seconds_bucket{op=\"list\",le=\"+Inf\"} 3\n"
            "took_seconds_sum{op=\"list\"} 20.5\n"
            "took_seconds_count{op=\"list\"} 3\n"
            "took_seconds_bucket{le=\"0.5\"} 2\n"
            "took_seconds_bucket{le=\"10\"} 2\n"
            "took_seconds_bucket{le=\"+Inf\"} 3\n"
            "took_seconds_sum 0\n"
            "took_seconds_count 3\n");
}

}  // namespace
}  // namespace heimdall
