#include "model/glob.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace heimdall {
namespace {

using namespace std::string_view_literals;

struct Case {
  std::string_view pattern;
  std::string_view key;
  bool matches;
};

class GlobTable : public ::testing::TestWithParam<Case> {};

TEST_P(GlobTable, decides) {
  EXPECT_EQ(Glob(std::string(GetParam().pattern)).matches(GetParam().key), GetParam().matches)
      << GetParam().pattern << " on " << GetParam().key;
}

constexpr Case kCases[] = {
    {"", "", true},
    {"", "a", false},
    {"a/b.npy", "a/b.npy", true},
    {"a/b.npy", "a/b.npy2", false},
    {"a/b.npy", "xa/b.npy", false},
    {"A", "a", false},
    // '?' is one byte but '/'.
    {"a?c", "abc", true},
    {"a?c", "a/c", false},
    {"a?c", "ac", false},
    {"?", "\0"sv, true},
    {"?", "\xff", true},
    // '*' stays inside its segment.
    {"*", "abc", true},
    {"*", "", true},
    {"*", "a/b", false},
    {"*.npy", "x.npy", true},
    {"*.npy", "d/x.npy", false},
    {"a/*/c", "a/b/c", true},
    {"a/*/c", "a//c", true},
    {"a/*/c", "a/b/b/c", false},
    {"*a*b*c*", "xxaxxbxxcxx", true},
    {"*a*b*c*", "xxaxxcxxbxx", false},
    // '**' does not.
    {"**", "", true},
    {"**", "a/b/c", true},
    {"keep/**", "keep/", true},
    {"keep/**", "keep/a/b", true},
    {"keep/**", "keep", false},
    {"keep/**", "keeper/a", false},
    {"a/**/c", "a/x/y/c", true},
    {"a/**/c", "a/c", true},
    {"a/**/c", "ac", false},
    {"**/x", "x", true},
    {"**/x", "d/e/x", true},
    {"**/x", "d/ex", false},
    {"a**c", "a/x/c", true},
    {"a**/c", "a/c", true},
    {"a**/c", "ax/y/c", true},
    {"***", "a/b", true},
    {"**/*.npy", "a/b/c.npy", true},
    {"**/*.npy", "a/b.npy/c", false},
    {"**/a*b/c", "x/aab/axb/c", true},
    {"**/a*b/c", "x/aab/ax/b/c", false},
    // Sets.
    {"[a-c]", "b", true},
    {"[a-c]", "d", false},
    {"[!a-c]", "d", true},
    {"[^a-c]", "b", false},
    {"[!a]", "/", false},
    {"a[+-/]b", "a/b", false},
    {"[]]", "]", true},
    {"[!]]", "]", false},
    {"[a-]", "-", true},
    {"[\\]x]", "]", true},
    {"[\x80-\xff]", "\xc3", true},
    {"[z-a]", "m", false},
    {"[a", "[a", true},
    {"[", "[", true},
    {"x[", "x", false},
    // '\' takes the next byte literally.
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"a\\", "a\\", true},
    {"\\\\", "\\", true},
};

INSTANTIATE_TEST_SUITE_P(Glob, GlobTable, ::testing::ValuesIn(kCases));

TEST(Glob, does_not_blow_up) {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "**a*";
  EXPECT_FALSE(Glob(pattern + "b").matches(std::string(1024, 'a')));
  EXPECT_FALSE(Glob(pattern + "b?").matches(std::string(1024, 'a')));
  EXPECT_TRUE(Glob(pattern).matches(std::string(1024, 'a')));
}

// The definition, word by word and without care for time.
bool matches_by_definition(std::string_view pattern, std::string_view key) {
  if (pattern.empty()) return key.empty();
  const bool doubled = pattern.starts_with("**");
  if (pattern[0] == '*') {
    const std::string_view rest = pattern.substr(doubled ? 2 : 1);
    if (matches_by_definition(rest, key)) return true;
    return !key.empty() && (doubled || key[0] != '/') && matches_by_definition(pattern, key.substr(1));
  }
  if (key.empty()) return false;
  return (pattern[0] == '?' ? key[0] != '/' : pattern[0] == key[0]) && matches_by_definition(pattern.substr(1), key.substr(1));
}

RC_GTEST_PROP(Glob, agrees_with_its_definition, ()) {
  // No "**/" here: that one also matches nothing, which the table shows.
  const auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>("a", "b", "/", "*", "?", "**a", "a*"));
  std::string pattern;
  for (const std::string& piece : pieces) {
    if (!(piece[0] == '*' && pattern.ends_with('*')) && !(piece == "/" && pattern.ends_with("**"))) pattern += piece;
  }
  const auto key = *rc::gen::container<std::string>(rc::gen::element('a', 'b', '/'));
  RC_ASSERT(Glob(pattern).matches(key) == matches_by_definition(pattern, key));
}

RC_GTEST_PROP(Glob, any_text_is_a_pattern, (const std::string& pattern, const std::string& key)) {
  Glob(pattern).matches(key);
  std::string escaped;
  for (char c : key) escaped += {'\\', c};
  RC_ASSERT(Glob(escaped).matches(key));
}

}  // namespace
}  // namespace heimdall
