#include <gmock/gmock.h>

#include "base/format.h"
#include "postgres_world.h"
#include "testing/fake_source.h"

namespace heimdall::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PostgresRead : public PostgresTest {
 protected:
  std::optional<std::string> partial(const std::string& query) {
    RowCollector rows;
    const auto summary = source(query).read(rows, {});
    EXPECT_TRUE(summary) << (summary ? "" : summary.error().message);
    return summary ? summary->partial : std::nullopt;
  }
};

TEST_F(PostgresRead, values_are_their_bytes_whatever_the_type) {
  EXPECT_THAT(values("SELECT NULL::text UNION ALL SELECT '' UNION ALL SELECT E'a\\nb\\\\'"), ElementsAre("", "", "a\nb\\"));
  EXPECT_THAT(values("SELECT '\\x6100ff5c'::bytea UNION ALL SELECT '' UNION ALL SELECT NULL"), ElementsAre("", "", std::string("a\0\xff\\", 4)));
  EXPECT_THAT(values("SELECT 'a b'::char(9)"), ElementsAre("a b"));
  EXPECT_THAT(values("SELECT 42"), ElementsAre("42"));
  EXPECT_THAT(values("SELECT '7f3a9c00-0000-0000-0000-000000000001'::uuid"), ElementsAre("7f3a9c00-0000-0000-0000-000000000001"));
  run("CREATE DOMAIN place AS varchar(50) CHECK (value <> '')");
  EXPECT_THAT(values("SELECT 'x'::place"), ElementsAre("x"));
  EXPECT_THAT(values("VALUES ('a'), ('b') ;; -- the end"), ElementsAre("a", "b"));
  EXPECT_THAT(values("(SELECT 'a') UNION ALL (SELECT 'b')"), ElementsAre("a", "b"));
  EXPECT_THAT(values("/* ; */ WITH c AS (SELECT ';' AS x) TABLE c"), ElementsAre(";"));
}

// What COPY sends in its binary form is what SELECT sends as text. A comment behind the ';' keeps a query from being copied.
TEST_F(PostgresRead, a_copied_value_is_the_selected_one) {
  run("CREATE DOMAIN place AS char(9)");
  run("CREATE DOMAIN raw AS bytea");
  run("CREATE DOMAIN document AS jsonb");
  for (const char* value : {"NULL::text", "''", "'a b  '::varchar(9)", "'a b'::char(9)", "NULL::char(9)", "''::char(3)", "'n'::name", "'p'::place",
                            "'\\x6100ff5c'::bytea", "'\\x'::bytea", "NULL::bytea", "'\\x00'::raw", "chr(233) || chr(128512)", "repeat('x', 100000)", "E'\\\\x61\\n\\t'",
                            "'x'::text AS key, '\\x62'::bytea AS bucket", "'b'::char(9) AS bucket, 'x'::name AS key", "NULL::text AS bucket, 'x' AS key"}) {
    RowCollector copied, selected;
    ASSERT_TRUE(source(format("SELECT {}", value)).read(copied, {})) << value;
    ASSERT_TRUE(source(format("SELECT {}; -- as text", value)).read(selected, {})) << value;
    EXPECT_EQ(copied.rows(), selected.rows()) << value;
    EXPECT_EQ(copied.rows().size(), 1U) << value;
  }
  for (const char* value : {"'{\"a\": [\"k\", 1.0, \"\\u00e9\"]}'::jsonb", "' {\"a\" : \"k\"} '::json", "NULL::jsonb", "'\"k\"'::document", "NULL::json"}) {
    auto copy = options(format("SELECT {}", value)), select = options(format("SELECT {}; -- as text", value));
    copy.json = select.json = JsonSelector::parse("values").value();
    EXPECT_EQ(values(copy), values(select)) << value;
    EXPECT_FALSE(values(copy).empty()) << value;
  }
}

TEST_F(PostgresRead, rows_may_name_their_bucket) {
  for (const char* query : {"SELECT 'k' AS key, 'b' AS bucket", "SELECT 'b' AS \"BUCKET\", '\\x6b'::bytea AS \"Key\""}) {
    RowCollector rows;
    ASSERT_TRUE(source(query).read(rows, {})) << query;
    EXPECT_THAT(rows.rows(), ElementsAre(FakeRow{"k", "b"})) << query;
  }
  for (const char* query : {"SELECT 'k', 'b'", "SELECT 'k' AS key, 'b' AS bucket, 1", "SELECT 'k' AS key, 'b' AS store"}) {
    EXPECT_EQ(error(query).code, ErrorCode::invalid_argument) << query;
  }
}

// A text that names no object would make orphans of all that the value does name.
TEST_F(PostgresRead, values_that_are_no_names_are_refused) {
  EXPECT_THAT(error("SELECT ARRAY['a', 'b'] AS paths").hint, HasSubstr("unnest"));
  EXPECT_THAT(error("SELECT '{\"a\": \"k\"}'::jsonb").hint, HasSubstr("json: values"));
  EXPECT_EQ(error("SELECT ROW(1, 'a')").code, ErrorCode::invalid_argument);
  EXPECT_EQ(error("SELECT f FROM files f").code, ErrorCode::invalid_argument);
  EXPECT_THAT(error("SELECT 'k:1'::tsvector").message, HasSubstr("tsvector"));
  if (!values("SELECT name FROM pg_available_extensions WHERE name = 'hstore'").empty()) {
    run("CREATE EXTENSION hstore");
    EXPECT_THAT(error("SELECT 'a=>k'::hstore").hint, HasSubstr("svals"));
    EXPECT_THAT(values("SELECT svals('a=>k'::hstore)"), ElementsAre("k"));
  }
  EXPECT_THAT(values("SELECT unnest(ARRAY['a', 'b'])"), ElementsAre("a", "b"));
}

TEST_F(PostgresRead, json_yields_the_strings_in_it) {
  auto all = options("SELECT '{\"a\": [\"k1\", 3, {\"b\": \"k2\"}], \"c\": null}'::jsonb UNION ALL SELECT NULL");
  all.json = JsonSelector::parse("values").value();
  EXPECT_THAT(values(all), ElementsAre("", "k1", "k2"));
  auto path = options("SELECT '{\"a\": [{\"b\": \"k2\"}], \"c\": \"k3\"}'::json");
  path.json = JsonSelector::parse("$.a[*].b").value();
  EXPECT_THAT(values(path), ElementsAre("k2"));
  auto broken = options("SELECT '{\"a\": '::text");
  broken.json = JsonSelector::parse("values").value();
  EXPECT_EQ(error(broken).code, ErrorCode::corrupt);
}

TEST_F(PostgresRead, other_encodings_are_converted_and_none_is_left_alone) {
  TestDatabase latin("TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
  latin.connect().run("CREATE TABLE files AS SELECT chr(233) AS path");
  auto with = options();
  with.url = latin.url();
  EXPECT_THAT(values(with), ElementsAre("\xC3\xA9"));
  EXPECT_EQ(source(with).lookup_cost().value(), LookupCost::unsupported);

  TestDatabase none("TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'");
  none.connect().run("CREATE TABLE files AS SELECT convert_from('\\xff61', 'SQL_ASCII') AS path");
  with.url = none.url();
  EXPECT_THAT(values(with), ElementsAre("\xff\x61"));
  RowCollector found;
  const std::vector<std::string> wanted = {"\xff\x61", "b"};
  ASSERT_TRUE(source(with).lookup(wanted, found, {}));
  EXPECT_THAT(found.values(), ElementsAre("\xff\x61"));
}

// Guard partial_query.
TEST_F(PostgresRead, a_query_that_cannot_yield_all_rows_says_so) {
  run("INSERT INTO files SELECT 'k' || g FROM generate_series(1, 100) g");
  run("CREATE VIEW newest AS SELECT path FROM files ORDER BY path LIMIT 10");
  run("CREATE MATERIALIZED VIEW kept AS SELECT path FROM files");
  EXPECT_EQ(partial("SELECT path FROM files WHERE path <> 'LIMIT'"), std::nullopt);
  EXPECT_THAT(partial("SELECT path FROM files LIMIT 10").value(), HasSubstr("LIMIT"));
  EXPECT_THAT(partial("SELECT path FROM files LIMIT ALL").value(), HasSubstr("LIMIT"));
  EXPECT_THAT(partial("SELECT path FROM files FETCH FIRST ROW ONLY").value(), HasSubstr("FETCH"));
  EXPECT_THAT(partial("SELECT path FROM files TABLESAMPLE SYSTEM (50)").value(), HasSubstr("TABLESAMPLE"));
  EXPECT_THAT(partial("SELECT path FROM newest").value(), HasSubstr("LIMIT in the query's plan"));
  EXPECT_THAT(partial("SELECT path FROM kept").value(), HasSubstr("materialized view public.kept"));
}

TEST_F(PostgresRead, rows_that_are_written_meanwhile_are_not_in_the_snapshot) {
  run("INSERT INTO files SELECT 'k' || g FROM generate_series(1, 300000) g");
  ActingSink sink([&] { run("INSERT INTO files VALUES ('late')"); });
  const auto summary = source().read(sink, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(sink.rows, 300'000U);
  EXPECT_EQ(summary->rows, 300'000U);
}

// Guard identity_changed.
TEST_F(PostgresRead, identity_is_cluster_database_timeline_and_tables) {
  run("CREATE TABLE parts(path text, year int) PARTITION BY LIST (year)");
  run("CREATE SCHEMA media");
  run("CREATE TABLE media.parts_1 PARTITION OF parts FOR VALUES IN (1)");
  run("CREATE VIEW everything AS SELECT path FROM parts UNION ALL SELECT path FROM files");
  const std::string query = "SELECT path FROM everything";
  const auto before = source(query).identity().value();
  EXPECT_EQ(before.database, "postgresql:" + run("SELECT system_identifier FROM pg_control_system()") + "/" +
                                 run("SELECT oid FROM pg_database WHERE datname = current_database()") + ":" + database_.name() + "/timeline:1");
  EXPECT_EQ(before.relations, "public.files,public.parts");
  EXPECT_GT(before.position, 0U);
  run("CREATE TABLE media.parts_2 PARTITION OF parts FOR VALUES IN (2)");
  run("INSERT INTO parts VALUES ('a', 1), ('b', 2)");
  const auto after = source(query).identity().value();
  EXPECT_EQ(after.database, before.database);
  EXPECT_EQ(after.relations, before.relations);
  EXPECT_GT(after.position, before.position);
  run("ALTER TABLE files RENAME TO old_files");
  EXPECT_EQ(source(query).identity()->relations, "public.old_files,public.parts");
}

TEST_F(PostgresRead, a_role_that_may_not_ask_for_the_cluster_names_it_by_its_place) {
  const std::string role = create_role();
  run("GRANT SELECT ON files TO " + role);
  run("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
  const auto identity = source(options("SELECT path FROM files", role)).identity();
  ASSERT_TRUE(identity) << identity.error().message;
  EXPECT_THAT(identity->database, HasSubstr("postgresql:at 127.0.0.1:" + postgres_server()["port"] + "/"));
}

}  // namespace
}  // namespace heimdall::testing
