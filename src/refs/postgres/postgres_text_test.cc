#include "refs/postgres/postgres_text.h"

#include <gmock/gmock.h>

namespace heimdall::postgres {
namespace {

TEST(PostgresText, an_array_holds_any_bytes) {
  const std::vector<std::string_view> values = {"a", "", "\"'\\\n"};
  const std::string expected("\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\3\0\0\0\1\0\0\0\1a\0\0\0\0\0\0\0\4\"'\\\n", 37);
  EXPECT_EQ(text_array(values).bytes, expected);
  EXPECT_EQ(text_array(values).type, kTextArray);
  EXPECT_EQ(text_array({}).bytes.size(), 12U);
}

TEST(PostgresText, numbers_are_numbers_or_an_error) {
  EXPECT_EQ(parse_number("18446744073709551615").value(), 18446744073709551615U);
  for (const auto& text : {std::optional<std::string>(), std::optional<std::string>(""), std::optional<std::string>("1x"),
                           std::optional<std::string>("-1")}) {
    EXPECT_EQ(parse_number(text).error().code, ErrorCode::corrupt);
  }
}

TEST(PostgresText, bytea_is_its_bytes) {
  std::string bytes;
  EXPECT_TRUE(decode_bytea("\\x6100ff", bytes));
  EXPECT_EQ(bytes, std::string("a\0\xff", 3));
  EXPECT_TRUE(decode_bytea("\\x", bytes));
  EXPECT_EQ(bytes, "");
  for (const char* text : {"", "abc", "\\x6", "\\xzz", "a\\000"}) EXPECT_FALSE(decode_bytea(text, bytes)) << text;
}

TEST(PostgresText, a_table_may_have_a_schema_and_an_odd_name) {
  EXPECT_EQ(quoted_table("files").value(), "\"files\"");
  EXPECT_EQ(quoted_table("media.Files").value(), "\"media\".\"Files\"");
  EXPECT_EQ(quoted_table("\"a.b\".\"c\"\"d\"").value(), "\"a.b\".\"c\"\"d\"");
  EXPECT_EQ(quoted_table("x; DROP TABLE y --").value(), "\"x; DROP TABLE y --\"");
  for (const char* name : {"", ".", "a.", ".a", "a.b.c", "\"a", "\"a\"b"}) {
    EXPECT_EQ(quoted_table(name).error().code, ErrorCode::invalid_argument) << name;
  }
}

TEST(PostgresText, only_queries_that_read_pass) {
  for (const char* sql : {"SELECT 1", " -- x\n select 1", "/* x */ WITH a AS (SELECT 1) TABLE a", "VALUES (1)", "table t", "((SELECT 1))"}) {
    EXPECT_TRUE(check_verb(sql)) << sql;
  }
  for (const char* sql : {"", ";", "INSERT INTO t VALUES (1)", "COPY t TO STDOUT", "EXPLAIN SELECT 1", "\"SELECT\" 1", "SET x = 1"}) {
    EXPECT_EQ(check_verb(sql).error().code, ErrorCode::invalid_argument) << sql;
  }
}

TEST(PostgresText, a_query_can_stand_in_another_one) {
  EXPECT_EQ(without_semicolon("SELECT ';' ; ; -- end"), "SELECT ';' ");
  EXPECT_EQ(without_semicolon("SELECT 1; SELECT 2"), "SELECT 1; SELECT 2");
  EXPECT_EQ(without_semicolon("SELECT 1 -- end"), "SELECT 1 -- end");
  EXPECT_EQ(lookup_sql("SELECT k FROM t -- all;"),
            "SELECT ref FROM (\nSELECT k FROM t -- all;\n) AS heimdall_storage_source(ref) WHERE ref = ANY($1)");
}

}  // namespace
}  // namespace heimdall::postgres
