#include "daemon/api/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What is wrong with a body of which these fields are known: t (text), f (flag), c (count), l (texts).
std::optional<Problem> problem_of_body(std::string_view body) {
  BodyFields fields(body);
  (void)fields.text("t");
  (void)fields.flag("f", false);
  (void)fields.count("c");
  (void)fields.texts("l");
  return fields.problem();
}

TEST(BodyFieldsTest, reads_what_is_there) {
  BodyFields fields(R"({"t":"x","f":true,"c":7,"l":["a","b","a"]})");
  EXPECT_EQ(fields.text("t"), "x");
  EXPECT_TRUE(fields.flag("f", false));
  EXPECT_EQ(fields.count("c"), 7U);
  EXPECT_THAT(*fields.texts("l"), ElementsAre("a", "b"));
  EXPECT_FALSE(fields.problem().has_value());
}

// `"dry_run": null` may be meant as "no", and must not delete.
TEST(BodyFieldsTest, refuses_null) {
  for (const char* field : {"t", "l", "f", "c"}) {
    const auto problem = problem_of_body(std::string("{\"") + field + "\":null}");
    ASSERT_TRUE(problem.has_value()) << field;
    EXPECT_EQ(problem->status, 422);
    EXPECT_EQ(problem->field, field);
  }
}

TEST(BodyFieldsTest, a_long_list_takes_no_longer_than_its_length) {
  std::string body = "{\"l\":[\"x\"";
  for (int i = 0; i < 130'000; ++i) body += ",\"" + std::to_string(i) + "\"";
  BodyFields fields(body + "]}");
  EXPECT_EQ(fields.texts("l")->size(), 130'001U);
}

TEST(BodyFieldsTest, takes_an_absent_field_for_not_given) {
  for (const char* body : {"", "{}"}) {
    BodyFields fields(body);
    EXPECT_EQ(fields.text("t"), std::nullopt);
    EXPECT_TRUE(fields.flag("f", true));
    EXPECT_EQ(fields.count("c"), std::nullopt);
    EXPECT_EQ(fields.texts("l"), std::nullopt);
    EXPECT_FALSE(fields.problem().has_value()) << body;
  }
}

TEST(BodyFieldsTest, refuses_what_is_no_json_object) {
  for (const char* body : {"x", "{", R"({"t":})", "[]", "7", "null", "{} {}", "{\"t\":\"\xff\"}", R"({"t":"a",})"}) {
    const auto problem = problem_of_body(body);
    ASSERT_TRUE(problem.has_value()) << body;
    EXPECT_EQ(problem->status, 400) << body;
  }
}

TEST(BodyFieldsTest, names_the_field_of_a_wrong_kind) {
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{{R"({"t":1})", "t"},
                                                                                    {R"({"f":"true"})", "f"},
                                                                                    {R"({"f":1})", "f"},
                                                                                    {R"({"c":0})", "c"},
                                                                                    {R"({"c":-1})", "c"},
                                                                                    {R"({"c":1.5})", "c"},
                                                                                    {R"({"c":"1"})", "c"},
                                                                                    {R"({"l":"a"})", "l"},
                                                                                    {R"({"l":[1]})", "l"},
                                                                                    {R"({"l":[""]})", "l"},
                                                                                    {R"({"l":[]})", "l"}}) {
    const auto problem = problem_of_body(body);
    ASSERT_TRUE(problem.has_value()) << body;
    EXPECT_EQ(problem->status, 422) << body;
    EXPECT_EQ(problem->field, field) << body;
  }
}

TEST(BodyFieldsTest, refuses_a_field_that_is_unknown_or_there_twice) {
  BodyFields unknown(R"({"dryrun":true})");
  (void)unknown.flag("dry_run", false);
  const auto problem = unknown.problem();
  ASSERT_TRUE(problem.has_value());
  EXPECT_EQ(problem->field, "dryrun");
  EXPECT_THAT(problem->hint, HasSubstr("dry_run"));

  const auto twice = problem_of_body(R"({"f":true,"f":false})");
  ASSERT_TRUE(twice.has_value());
  EXPECT_EQ(twice->field, "f");
}

TEST(BodyFieldsTest, survives_a_body_that_is_nested_deeply) {
  const std::string deep = R"({"t":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  EXPECT_EQ(problem_of_body(deep)->status, 422);
}

ServerRequest query(std::map<std::string, std::string> parameters) { return {"GET", "/", std::move(parameters), {}, "", ""}; }

TEST(QueryFieldsTest, reads_limits_within_their_bounds) {
  const ServerRequest given = query({{"limit", "7"}});
  QueryFields fields(given);
  EXPECT_EQ(fields.limit("limit", 20, 100), 7U);
  EXPECT_FALSE(fields.problem().has_value());
  const ServerRequest none = query({});
  QueryFields defaults(none);
  EXPECT_EQ(defaults.limit("limit", 20, 100), 20U);
}

TEST(QueryFieldsTest, names_the_parameter_that_is_wrong) {
  for (const char* value : {"", "0", "101", "-1", "1.5", "x", "99999999999999999999999", " 1"}) {
    const ServerRequest given = query({{"limit", value}});
    QueryFields fields(given);
    (void)fields.limit("limit", 20, 100);
    const auto problem = fields.problem();
    ASSERT_TRUE(problem.has_value()) << value;
    EXPECT_EQ(problem->status, 400);
    EXPECT_EQ(problem->field, "limit");
  }
}

TEST(QueryFieldsTest, refuses_a_parameter_nobody_knows) {
  const ServerRequest given = query({{"limt", "7"}});
  QueryFields fields(given);
  (void)fields.limit("limit", 20, 100);
  const auto problem = fields.problem();
  ASSERT_TRUE(problem.has_value());
  EXPECT_EQ(problem->field, "limt");
}

TEST(RunIdTest, only_a_run_id_is_one) {
  EXPECT_TRUE(is_run_id("20261123T001416Z-7f3a9c"));
  for (const char* other : {"", "..", "../20261123T001416Z-7f3a9c", "20261123T001416Z-7f3a9c/", "20261123T001416Z-7F3A9C", "20261123t001416Z-7f3a9c",
                            "20261123T001416Z-7f3a9", "20261123T001416Z-7f3a9cc", "2026112xT001416Z-7f3a9c", "00000000T000000Z-xxxxxx"}) {
    EXPECT_FALSE(is_run_id(other)) << other;
  }
}

}  // namespace
}  // namespace heimdall
