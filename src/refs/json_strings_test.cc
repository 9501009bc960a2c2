#include "refs/json_strings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> select(std::string_view path, std::string_view document) {
  std::vector<std::string> found;
  const auto done = JsonSelector::parse(path).value().strings(document, [&](std::string_view text) -> Result<void> {
    found.emplace_back(text);
    return {};
  });
  EXPECT_TRUE(done) << done.error().message;
  return found;
}

constexpr std::string_view kDocument =
    R"({"a":{"b":[{"c":"1"},{"c":"2","d":"3"},{"c":["4",5,["x"]]}]},"odd key":"6","e":["7","8"],"n":null,"t":true})";

TEST(JsonStrings, values_takes_every_string_at_any_depth) {
  EXPECT_THAT(select("values", kDocument), ElementsAre("1", "2", "3", "4", "x", "6", "7", "8"));
  EXPECT_THAT(select("values", R"("alone")"), ElementsAre("alone"));
  EXPECT_THAT(select("values", "[1, null, false, {}]"), IsEmpty());
}

TEST(JsonStrings, a_path_takes_what_it_names) {
  EXPECT_THAT(select("$.a.b[*].c", kDocument), ElementsAre("1", "2", "4"));
  EXPECT_THAT(select("$.a.b[1].d", kDocument), ElementsAre("3"));
  EXPECT_THAT(select("$[\"odd key\"]", kDocument), ElementsAre("6"));
  EXPECT_THAT(select("$.*", kDocument), ElementsAre("6", "7", "8"));
  EXPECT_THAT(select("$.e", kDocument), ElementsAre("7", "8"));
  EXPECT_THAT(select("$.e[1]", kDocument), ElementsAre("8"));
  EXPECT_THAT(select("$", R"("alone")"), ElementsAre("alone"));
  EXPECT_THAT(select("$.a", kDocument), IsEmpty());
  EXPECT_THAT(select("$.missing.deeper", kDocument), IsEmpty());
  EXPECT_THAT(select("$[\"a\\\"b\"]", R"({"a\"b":"x"})"), ElementsAre("x"));
}

// PostgreSQL's default mode: the same configuration must not find less here.
TEST(JsonStrings, a_path_is_lax_about_arrays) {
  EXPECT_THAT(select("$.a.b.c", kDocument), ElementsAre("1", "2", "4"));
  EXPECT_THAT(select("$.a[*].b[0].c[*]", R"({"a":{"b":{"c":"x"}}})"), ElementsAre("x"));
}

TEST(JsonStrings, strings_are_decoded) {
  EXPECT_THAT(select("values", R"(["a\u00e9\/b", "\u0000", ""])"), ElementsAre("a\xC3\xA9/b", std::string(1, '\0'), ""));
}

// Invariant 2: which of two equal names a program means is unknown, so both count.
TEST(JsonStrings, a_name_given_twice_counts_twice) {
  EXPECT_THAT(select("$.a", R"({"a":"x","a":"y"})"), ElementsAre("x", "y"));
}

// Invariant 2: incomplete knowledge is an error.
TEST(JsonStrings, what_is_no_document_is_an_error) {
  const auto selector = JsonSelector::parse("values").value();
  for (const char* text : {"", "sessions/a.npy", "{\"a\":\"b\"", "[1,]", "\"a\" \"b\"", "{'a':1}", "\"\xff\"", "[1e999]"}) {
    const auto done = selector.strings(text, [](std::string_view) { return Result<void>(); });
    ASSERT_FALSE(done) << text;
    EXPECT_EQ(done.error().code, ErrorCode::corrupt) << text;
  }
  const auto done = selector.strings("sessions/a.npy", [](std::string_view) { return Result<void>(); });
  EXPECT_THAT(done.error().message, HasSubstr("sessions/a.npy"));
}

TEST(JsonStrings, an_error_of_the_taker_ends_the_walk) {
  int calls = 0;
  const auto done = JsonSelector::parse("values").value().strings("[\"a\",\"b\"]", [&](std::string_view) -> Result<void> {
    ++calls;
    return Error{ErrorCode::cancelled, "enough"};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::cancelled);
  EXPECT_EQ(calls, 1);
}

TEST(JsonStrings, depth_costs_no_stack) {
  constexpr std::size_t kDepth = 1'000'000;
  const std::string document = std::string(kDepth, '[') + "\"x\"" + std::string(kDepth, ']');
  EXPECT_THAT(select("values", document), ElementsAre("x"));
  EXPECT_THAT(select("$.a", document), IsEmpty());
}

TEST(JsonStrings, a_path_that_makes_no_sense_is_refused) {
  for (const char* path : {"", "a", "$.", "$..a", "$[", "$[x]", "$[1", "$[\"a]", "$.a b", "$.a?(@.b)", "value", "$.a]", "$[-1]"}) {
    const auto selector = JsonSelector::parse(path);
    ASSERT_FALSE(selector) << path;
    EXPECT_EQ(selector.error().code, ErrorCode::invalid_argument);
  }
}

RC_GTEST_PROP(JsonStrings, no_text_makes_it_fall, (const std::string& document, const std::string& path)) {
  (void)JsonSelector::parse("$" + path);
  const auto selector = JsonSelector::parse("$.a[*]").value();
  (void)selector.strings(document, [](std::string_view) { return Result<void>(); });
}

}  // namespace
}  // namespace heimdall
