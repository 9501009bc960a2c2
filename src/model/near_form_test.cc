#include "model/near_form.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <string>

namespace heimdall {
namespace {

using namespace std::string_literals;

std::string near(std::string_view key) {
  std::string out = "left over";
  near_form(key, out);
  return out;
}

// The guard near_miss: what a sloppy writer mixes up is one form.
TEST(NearForm, sloppy_writings_are_equal) {
  EXPECT_EQ(near("Sessions/A.NPY"), "sessions/a.npy");
  EXPECT_EQ(near("/sessions//a.npy"), "sessions/a.npy");
  EXPECT_EQ(near(" \tsessions/a.npy\r\n"), "sessions/a.npy");
  EXPECT_EQ(near("sessions%2Fa%20b.npy"), "sessions/a b.npy");
  EXPECT_EQ(near("/ / a"), "a");
}

TEST(NearForm, decodes_until_nothing_changes) {
  EXPECT_EQ(near("a%252520b"), "a b");
  EXPECT_EQ(near("%2%35%32%30"), "");  // "%2520", "%20", a blank
  EXPECT_EQ(near("a%%32%35x"), "a%x");
  EXPECT_EQ(near("100%"), "100%");
  EXPECT_EQ(near("a+b%zz"), "a+b%zz");
}

TEST(NearForm, unicode_is_composed_and_folded) {
  EXPECT_EQ(near("Mu\xCC\x88ller"), near("M\xC3\x9CLLER"));  // u + diaeresis, U with diaeresis
  EXPECT_EQ(near("stra\xC3\x9F"
                 "e"),
            near("STRASSE"));
  EXPECT_EQ(near("caf%C3%A9"), "caf\xC3\xA9");
  EXPECT_EQ(near("%6\xEF\xAC\x81"), "oi");  // the ligature "fi" completes an escape when folded
}

TEST(NearForm, other_bytes_are_kept_and_ascii_lowered) {
  EXPECT_EQ(near("A\xFF/B"), "a\xFF/b");
  EXPECT_EQ(near("A\0B"s), "a\0b"s);
  EXPECT_EQ(near(""), "");
  EXPECT_EQ(near("///"), "");
}

TEST(NearForm, different_keys_stay_different) {
  EXPECT_NE(near("a/b"), near("a/b/"));
  EXPECT_NE(near("a.b"), near("ab"));
  EXPECT_NE(near("a b"), near("a+b"));
}

// Wherever in a key of whatever length the one byte stands that makes the difference: keys are looked at sixteen bytes at a time.
TEST(NearForm, one_byte_makes_a_difference_wherever_it_stands) {
  for (std::size_t size = 1; size <= 70; ++size) {
    const std::string plain(size, 'a');
    EXPECT_TRUE(is_near_form(plain)) << size;
    EXPECT_EQ(near(plain), plain);
    for (std::size_t at = 0; at < size; ++at) {
      const auto with = [&](char c) {
        std::string key = plain;
        key[at] = c;
        return key;
      };
      for (const char c : {'A', 'Z', '%', ' ', '\n', '\0', '\x80', '\xFF'}) EXPECT_FALSE(is_near_form(with(c))) << size << " " << at << " " << c;
      for (const char c : {'@', '[', '`', '{', '~', '!', '-', '.', '9'}) EXPECT_TRUE(is_near_form(with(c))) << size << " " << at << " " << c;
      EXPECT_EQ(near(with('Q')), with('q'));
      EXPECT_EQ(is_near_form(with('/')), at > 0) << size << " " << at;
      if (at == 0) continue;
      std::string two_slashes = with('/');
      two_slashes[at - 1] = '/';
      EXPECT_FALSE(is_near_form(two_slashes)) << size << " " << at;
    }
  }
  EXPECT_TRUE(is_near_form(""));
}

// A megabyte of escapes inside escapes, or of combining marks in the wrong order, must not take quadratic time.
TEST(NearForm, long_values_are_linear) {
  std::string escapes;
  std::string marks;
  while (escapes.size() < 1'000'000) escapes += "%25";
  for (int i = 0; i < 500'000; ++i) marks += i % 2 == 0 ? "\xCC\x81" : "\xCC\xA3";
  const auto start = std::chrono::steady_clock::now();
  near(escapes);
  near("%" + std::string(1'000'000, '2') + escapes);
  near(marks);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

RC_GTEST_PROP(NearForm, is_idempotent_on_any_bytes, (const std::string& key)) { RC_ASSERT(near(near(key)) == near(key)); }

RC_GTEST_PROP(NearForm, is_idempotent_on_what_interacts, ()) {
  const auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
      "%", "2", "5", "F", "/", " ", "%25", "%2", "K", "\xE2\x84\xAA", "\xEF\xAC\x80", "\xEF\xAC\x81", "\xCD\x85", "\xCC\x88", "\xCC\xA3", "\xC3",
      "\xC4\xB0", "\xCE\xB1", "\xCE\x99", "\xE1\xBE\xB3", "\xFF", "u", "%c3", "%A9"));
  std::string key;
  for (const std::string& piece : pieces) key += piece;
  const std::string once = near(key);
  RC_ASSERT(near(once) == once);
  RC_ASSERT(near("/" + key + " ") == once || key.ends_with('%') || key.starts_with('/'));
}

}  // namespace
}  // namespace heimdall
