#include "refs/sql_text.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace heimdall {
namespace {

// Guard partial_query: a LIMIT that SQLite sees is seen, however it is written.
TEST(SqlText, finds_a_limit) {
  for (const char* sql : {"SELECT a FROM t LIMIT 5", "select a from t limit 5", "SELECT a FROM t\nLiMiT/**/5",
                          "SELECT a FROM (SELECT a FROM t LIMIT 5)", "SELECT a FROM t WHERE b='it''s' LIMIT 5",
                          "SELECT a FROM t -- all\r\nLIMIT 5", "SELECT '--' FROM t LIMIT 5", "SELECT x'00'LIMIT 5"}) {
    EXPECT_TRUE(has_keyword(sql, "LIMIT")) << sql;
  }
}

TEST(SqlText, is_not_fooled_by_text_names_and_comments) {
  for (const char* sql : {"SELECT 'LIMIT' FROM t", "SELECT \"limit\" FROM t", "SELECT `limit` FROM t", "SELECT [a limit] FROM t",
                          "SELECT a FROM t -- LIMIT 5", "SELECT a /* LIMIT 5 */ FROM t", "SELECT a FROM t /* LIMIT 5",
                          "SELECT limits, rate_limit, limit_ FROM t", "SELECT 'it''s LIMIT 5' FROM t"}) {
    EXPECT_FALSE(has_keyword(sql, "LIMIT")) << sql;
  }
}

TEST(SqlText, a_statement_ends_at_its_semicolon) {
  EXPECT_EQ(first_statement("SELECT 1"), "SELECT 1");
  EXPECT_EQ(first_statement(" -- all\n SELECT ';' ; -- done"), "SELECT ';'");
  EXPECT_EQ(first_statement("SELECT a FROM t -- the end"), "SELECT a FROM t");
  EXPECT_EQ(first_statement("SELECT a /* in */ FROM t /* not closed"), "SELECT a /* in */ FROM t");
  EXPECT_EQ(first_statement(";;SELECT 1;SELECT 2"), "SELECT 1");
  EXPECT_EQ(first_statement("-- nothing"), "");
}

TEST(SqlText, names_are_quoted) {
  EXPECT_EQ(quoted_name("a"), "\"a\"");
  EXPECT_EQ(quoted_name("a\"b"), "\"a\"\"b\"");
}

RC_GTEST_PROP(SqlText, every_quoted_name_is_one_token, (const std::string& name)) {
  const std::string sql = quoted_name(name) + " LIMIT";
  const auto tokens = sql_tokens(sql);
  RC_ASSERT(tokens.size() == 2U);
  RC_ASSERT(tokens[0].kind == SqlToken::Kind::name);
  RC_ASSERT(tokens[1].text == "LIMIT");
}

RC_GTEST_PROP(SqlText, tokens_never_leave_the_text, (const std::string& sql)) {
  std::size_t end = 0;
  for (const auto& token : sql_tokens(sql)) {
    const auto begin = static_cast<std::size_t>(token.text.data() - sql.data());
    RC_ASSERT(begin >= end);
    end = begin + token.text.size();
    RC_ASSERT(end <= sql.size());
  }
}

}  // namespace
}  // namespace heimdall
