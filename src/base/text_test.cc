#include "base/text.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace heimdall {
namespace {

using namespace std::chrono_literals;

TEST(Text, times_are_read_and_written_back) {
  EXPECT_EQ(rfc3339_exact(parse_rfc3339("2026-11-23T00:14:16Z").value()), "2026-11-23T00:14:16Z");
  EXPECT_EQ(rfc3339_exact(parse_rfc3339("2026-11-23T00:14:16.5+01:30").value()), "2026-11-22T22:44:16.500000000Z");
  EXPECT_EQ(rfc3339(parse_rfc3339("1969-12-31T23:59:59.25Z").value()), "1969-12-31T23:59:59Z");
}

// Invariant 4: a time that does not parse is unknown, never the epoch.
TEST(Text, a_broken_time_is_unknown) {
  for (const char* text : {"", "2026", "2026-02-30T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T00:14:16", "2026-11-23T00:14:16Zx",
                           "2026-11-23T00:14:16.Z", "0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "2026-11-23T00:14:16+1:00"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

TEST(Text, durations_need_a_unit) {
  EXPECT_EQ(parse_duration("30d").value(), 720h);
  EXPECT_EQ(parse_duration("500ms").value(), 500ms);
  EXPECT_EQ(parse_duration("1.5h").value(), 90min);
  EXPECT_EQ(parse_duration("0s").value(), 0ms);
  for (const char* text : {"", "30", "d", "-1d", "1 fortnight", "1e9d", "99999999999999999999d", "5M"}) {
    EXPECT_EQ(parse_duration(text).error().code, ErrorCode::invalid_argument) << text;
  }
}

TEST(Text, sizes_need_a_unit) {
  EXPECT_EQ(parse_size("10GiB").value(), 10737418240U);
  EXPECT_EQ(parse_size("500MB").value(), 500000000U);
  for (const char* text : {"", "10", "10G", "GiB", "-1KB"}) EXPECT_FALSE(parse_size(text)) << text;
}

RC_GTEST_PROP(Text, durations_survive_writing, ()) {
  const auto length = std::chrono::milliseconds(*rc::gen::inRange<std::int64_t>(0, 400LL * 86400 * 1000));
  RC_ASSERT(parse_duration(duration_text(length)).value() == length);
}

RC_GTEST_PROP(Text, base64_survives, (const std::string& bytes)) { RC_ASSERT(from_base64(to_base64(bytes)) == bytes); }

RC_GTEST_PROP(Text, printable_never_drives_a_terminal, (const std::string& bytes)) {
  for (char c : printable(bytes)) RC_ASSERT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
  RC_ASSERT(is_utf8(printable(bytes)));
}

TEST(Text, printable_shows_what_would_turn_or_hide_text) {
  EXPECT_EQ(printable("a\xE2\x80\xAE" "b"), "a\\xe2\\x80\\xaeb");
  EXPECT_EQ(printable("\xEF\xBB\xBFx\xC2\x9B"), "\\xef\\xbb\\xbfx\\xc2\\x9b");
  EXPECT_EQ(printable("caf\xC3\xA9 \xE2\x82\xAC \\"), "caf\xC3\xA9 \xE2\x82\xAC \\\\");
}

TEST(Text, people_read_numbers) {
  EXPECT_EQ(with_thousands(1234567), "1,234,567");
  EXPECT_EQ(with_thousands(999), "999");
  EXPECT_EQ(count_of(1, "object"), "1 object");
  EXPECT_EQ(count_of(12480, "object"), "12,480 objects");
  EXPECT_EQ(count_of(3, "entry"), "3 entries");
  EXPECT_EQ(human_bytes(17), "17 B");
  EXPECT_EQ(human_bytes(262000000000), "244.0 GiB");
  EXPECT_EQ(human_bytes(1048575), "1.0 MiB");
}

TEST(Text, a_slip_finds_the_known_word) {
  const std::vector<std::string> known = {"min_age", "grace", "batch_size"};
  EXPECT_EQ(nearest("min_aeg", known), "min_age");
  EXPECT_EQ(nearest("gracee", known), "grace");
  EXPECT_FALSE(nearest("colour", known));
  EXPECT_FALSE(nearest(std::string(30'000, 'x'), known)) << "a stranger may have given it: it is not even looked at";
}

TEST(Text, long_keys_lose_their_middle) {
  EXPECT_EQ(elide_middle("abcdefghijklmnop", 11), "abcd...mnop");
  EXPECT_EQ(elide_middle("short", 11), "short");
}

}  // namespace
}  // namespace heimdall
