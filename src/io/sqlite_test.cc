#include "io/sqlite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace heimdall::sqlite {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Sqlite : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "heimdall-sqlite-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = directory_ / "x.db";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  Database open(OpenMode mode = OpenMode::create) { return Database::open(path_, mode, 0ms).value(); }

  std::filesystem::path directory_;
  std::filesystem::path path_;
};

TEST_F(Sqlite, values_survive) {
  Database db = open();
  ASSERT_TRUE(db.execute("CREATE TABLE t(v)"));
  Statement insert = db.prepare("INSERT INTO t VALUES (?1),(?2),(?3),(?4),(?5)").value();
  EXPECT_EQ(insert.parameter_count(), 5);
  EXPECT_FALSE(insert.is_read_only());
  insert.bind(1, std::int64_t{-7}).bind(2, 1.5).bind_text(3, std::string_view("a\0b", 3)).bind_blob(4, "").bind_null(5);
  ASSERT_TRUE(insert.step());
  EXPECT_EQ(db.changes(), 5);
  Statement rows = db.prepare("SELECT v, typeof(v) FROM t").value();
  EXPECT_TRUE(rows.is_read_only());
  EXPECT_EQ(rows.column_count(), 2);
  EXPECT_EQ(rows.column_name(0), "v");
  std::vector<std::string> types;
  std::vector<std::string> values;
  while (rows.step().value()) {
    values.emplace_back(rows.bytes(0));
    types.emplace_back(rows.bytes(1));
    EXPECT_EQ(rows.is_null(0), types.back() == "null");
    EXPECT_EQ(rows.is_blob(0), types.back() == "blob");
  }
  EXPECT_THAT(values, ElementsAre("-7", "1.5", std::string("a\0b", 3), "", ""));
  EXPECT_THAT(types, ElementsAre("integer", "real", "text", "blob", "null"));
}

TEST_F(Sqlite, read_only_creates_nothing_and_changes_nothing) {
  EXPECT_EQ(Database::open(path_, OpenMode::read_only, 0ms).error().code, ErrorCode::not_found);
  EXPECT_FALSE(std::filesystem::exists(path_));
  ASSERT_TRUE(open().execute("CREATE TABLE t(v)"));
  EXPECT_EQ(open(OpenMode::read_only).execute("INSERT INTO t VALUES (1)").error().code, ErrorCode::permission_denied);
}

TEST_F(Sqlite, one_statement_is_one_statement) {
  Database db = open();
  EXPECT_TRUE(db.prepare("SELECT 1"));
  EXPECT_TRUE(db.prepare("SELECT 1 ; ; -- done\n/* really"));
  for (const std::string& sql : {std::string("SELECT 1; SELECT 2"), std::string("SELECT 1; nonsense"), std::string(""), std::string(" -- x"),
                                 std::string("SELECT 1\0 FROM t", 16), std::string("SELEC 1")}) {
    const auto statement = db.prepare(sql);
    ASSERT_FALSE(statement) << sql;
    EXPECT_EQ(statement.error().code, ErrorCode::invalid_argument) << sql;
  }
}

TEST_F(Sqlite, errors_say_what_to_do_next) {
  Database db = open();
  ASSERT_TRUE(db.execute("CREATE TABLE t(v); BEGIN EXCLUSIVE"));
  const auto busy = open().execute("INSERT INTO t VALUES (1)");
  EXPECT_EQ(busy.error().code, ErrorCode::unavailable);
  EXPECT_NE(busy.error().hint, "");
  const auto rejected = db.prepare("SELECT missing FROM t");
  EXPECT_EQ(rejected.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(rejected.error().message, HasSubstr("no such column: missing"));
}

TEST_F(Sqlite, a_stop_interrupts_a_running_statement) {
  Database db = open();
  std::stop_source stop;
  db.set_stop(stop.get_token());
  Statement endless = db.prepare("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n WHERE i<0").value();
  stop.request_stop();
  EXPECT_EQ(endless.step().error().code, ErrorCode::cancelled);
}

TEST_F(Sqlite, a_quoted_name_that_does_not_exist_is_no_string) {
  Database db = open();
  ASSERT_TRUE(db.execute("CREATE TABLE t(v)"));
  EXPECT_TRUE(db.prepare("SELECT \"missing\" FROM t"));
  db.refuse_double_quoted_strings();
  EXPECT_EQ(db.prepare("SELECT \"missing\" FROM t").error().code, ErrorCode::invalid_argument);
}

TEST_F(Sqlite, relations_are_seen_through_views_and_subqueries) {
  Database db = open();
  ASSERT_TRUE(db.execute("CREATE TABLE a(x TEXT); CREATE TABLE b(x); CREATE VIEW v AS SELECT x FROM b; CREATE VIEW w AS SELECT x FROM v"));
  EXPECT_THAT(db.relations_of("SELECT x FROM w WHERE x IN (SELECT x FROM a)").value(), ElementsAre("a", "b", "v", "w"));
  EXPECT_THAT(db.relations_of("SELECT count(*) FROM a").value(), ElementsAre("a"));
  EXPECT_EQ(db.relations_of("SELECT x FROM nothing").error().code, ErrorCode::invalid_argument);
}

TEST_F(Sqlite, declared_types_are_those_of_columns_only) {
  Database db = open();
  ASSERT_TRUE(db.execute("CREATE TABLE a(x VARCHAR(9)); CREATE VIEW v AS SELECT x FROM a"));
  EXPECT_EQ(db.prepare("SELECT x FROM v")->declared_type(0), "VARCHAR(9)");
  EXPECT_EQ(db.prepare("SELECT lower(x) FROM v")->declared_type(0), "");
}

TEST_F(Sqlite, a_statement_can_run_again) {
  Database db = open();
  Statement statement = db.prepare("SELECT ?1").value();
  for (const char* text : {"a", "b"}) {
    statement.reset();
    statement.bind_text(1, text);
    ASSERT_TRUE(statement.step().value());
    EXPECT_EQ(statement.bytes(0), text);
    EXPECT_FALSE(statement.step().value());
  }
}

}  // namespace
}  // namespace heimdall::sqlite
