#include "store/s3/list_date.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/text.h"

namespace heimdall {
namespace {

std::optional<Timestamp> oracle(const std::string& text) {
  const auto parsed = parse_rfc3339(text);
  if (!parsed) return std::nullopt;
  return std::chrono::floor<std::chrono::seconds>(*parsed);
}

TEST(ListDate, rounds_down_to_the_second) {
  EXPECT_EQ(list_date("2026-11-22T10:00:00.999Z"), Timestamp(std::chrono::seconds(1795341600)));
  EXPECT_EQ(list_date("1969-12-31T23:59:59.5Z"), Timestamp(std::chrono::seconds(-1)));
}

// Invariant 4: a date that is none is unknown.
TEST(ListDate, answers_as_the_exact_reader_does) {
  for (const std::string text :
       {"", "Z", "2026-11-22", "2026-11-22T10:00:00", "2026-11-22T10:00:00Z", "2026-11-22T10:00:60Z", "2026-11-22T24:00:00Z", "2026-11-22T10:00:00.Z",
        "2026-11-22T10:00:00.12x4Z", "2026-11-22T10:00:00.123456789012Z", "2026-11-22T10:00:00+01:30", "2026-11-22t10:00:00z", "2026-11-22 10:00:00Z",
        "2026-02-29T10:00:00Z", "2026-02-29T10:00:00.000Z", "2028-02-29T10:00:00Z", "1677-12-31T10:00:00Z", "2262-01-01T10:00:00Z", "1970-01-01T00:00:00Z",
        "2026-11-22T1a:00:00Z", "2026-11-22T10:00:0\xC3Z", "2026-1-222T10:00:00Z", "20261122T100000Z12345"}) {
    EXPECT_EQ(list_date(text), oracle(text)) << text;
  }
}

TEST(ListDate, answers_as_the_exact_reader_does_where_characters_are_changed) {
  std::mt19937 random(20261125);
  const std::string alphabet = "0123456789-:.TZtz+ ";
  for (int round = 0; round < 200'000; ++round) {
    std::string text = rfc3339(Timestamp(std::chrono::seconds(random() % 4'000'000'000U)));
    if (round % 2 == 0) text.replace(text.size() - 1, 1, ".123Z");
    for (auto changes = random() % 3; changes > 0; --changes) text[random() % text.size()] = alphabet[random() % alphabet.size()];
    ASSERT_EQ(list_date(text), oracle(text)) << text;
  }
}

}  // namespace
}  // namespace heimdall
