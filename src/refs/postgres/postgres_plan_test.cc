#include "refs/postgres/postgres_plan.h"

#include <gmock/gmock.h>

namespace heimdall::postgres {
namespace {

using Access = PlannedScan::Access;

Result<Plan> plan_of(const std::string& node, std::string_view value = "") { return parse_plan("[{\"Plan\": " + node + "}]", value); }

std::string scan(const std::string& type, const std::string& rest = "") {
  return R"({"Node Type": ")" + type + R"(", "Schema": "s", "Relation Name": "t", "Plan Rows": 7)" + rest + "}";
}

std::string condition(const std::string& name, const std::string& text) { return ", \"" + name + "\": \"" + text + "\""; }

const std::string kByValue = "(k = ANY ('{needle}'::text[]))";

TEST(PostgresPlan, names_every_relation_wherever_it_stands) {
  const auto plan = plan_of(R"({"Node Type": "Append", "Plans": [
      {"Node Type": "Seq Scan", "Schema": "b", "Relation Name": "x"},
      {"Node Type": "Hash", "Plans": [{"Node Type": "Index Only Scan", "Schema": "a", "Relation Name": "y"}]},
      {"Node Type": "Seq Scan", "Schema": "b", "Relation Name": "x"}]})");
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->relations(), (std::set<RelationName>{{"a", "y"}, {"b", "x"}}));
  EXPECT_EQ(plan->partial, std::nullopt);
}

// Guard partial_query.
TEST(PostgresPlan, a_limit_at_any_depth_is_seen) {
  EXPECT_TRUE(plan_of(R"({"Node Type": "Limit"})")->partial);
  EXPECT_TRUE(plan_of(R"({"Node Type": "Result", "Plans": [{"Node Type": "Limit", "Parent Relationship": "InitPlan"}]})")->partial);
  EXPECT_TRUE(plan_of(scan("Sample Scan"))->partial);
  EXPECT_TRUE(plan_of(scan("Foreign Scan"))->partial);
  EXPECT_FALSE(plan_of(scan("Seq Scan"))->partial);
}

TEST(PostgresPlan, tells_how_a_table_is_read) {
  const auto access = [](const std::string& node) { return plan_of(node, "needle")->scans.at(0).access; };
  EXPECT_EQ(access(scan("Seq Scan", condition("Filter", kByValue))), Access::whole);
  EXPECT_EQ(access(scan("Index Scan", condition("Index Cond", kByValue))), Access::by_value);
  EXPECT_EQ(access(scan("Bitmap Heap Scan", condition("Recheck Cond", kByValue))), Access::by_value);
  EXPECT_EQ(access(scan("Index Only Scan")), Access::whole);
  EXPECT_EQ(access(scan("Index Scan", condition("Index Cond", "(deleted = false)"))), Access::whole);
  const std::string joined = scan("Index Scan", condition("Index Cond", "(id = q.id)") + condition("Parent Relationship", "Inner"));
  EXPECT_EQ(access(R"({"Node Type": "Nested Loop", "Plans": [)" + joined + "]}"), Access::by_join);
  EXPECT_EQ(access(R"({"Node Type": "Hash Join", "Plans": [)" + joined + "]}"), Access::whole);
}

TEST(PostgresPlan, small_tables_are_cheap_to_read) {
  const auto whole = *plan_of(scan("Seq Scan"));
  EXPECT_TRUE(is_cheap(whole, {{{"s", "t"}, 'r', 10'000, "s.t"}}));
  EXPECT_FALSE(is_cheap(whole, {{{"s", "t"}, 'r', 10'001, "s.t"}}));
  const auto indexed = *plan_of(scan("Index Scan", condition("Index Cond", kByValue)), "needle");
  EXPECT_TRUE(is_cheap(indexed, {{{"s", "t"}, 'r', 1e9, "s.t"}}));
}

// Guard identity_changed: a partition more is not another table.
TEST(PostgresPlan, partitions_count_as_their_table) {
  EXPECT_EQ(joined_roots({{{"s", "p2"}, 'r', 0, "s.t"}, {{"s", "p1"}, 'r', 0, "s.t"}, {{"a", "x"}, 'r', 0, "a.x"}}), "a.x,s.t");
}

TEST(PostgresPlan, what_is_no_plan_is_an_error) {
  for (const char* text : {"", "null", "[]", "[1]", "[{\"Plan\": 3}]", "[{\"Plan\": {\"Plans\": [1]}}]"}) {
    EXPECT_EQ(parse_plan(text, "").error().code, ErrorCode::corrupt) << text;
  }
}

}  // namespace
}  // namespace heimdall::postgres
