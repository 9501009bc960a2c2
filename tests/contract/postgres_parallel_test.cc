#include <gmock/gmock.h>

#include "base/format.h"
#include "postgres_world.h"
#include "testing/fake_source.h"

namespace heimdall::testing {
namespace {

using ::testing::HasSubstr;

class PostgresParallel : public PostgresTest {
 protected:
  PostgresSourceOptions column(const std::string& table, std::size_t readers, const std::string& user = "postgres") {
    auto with = options("", user);
    with.table = table;
    with.column = "path";
    with.readers = readers;
    with.small_table = 0;
    return with;
  }
  void wait_for_readers(const std::string& count) {
    std::string now;
    for (int i = 0; i < 1000 && now != count; ++i) {
      now = run("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%source.ctid%' AND datname = current_database()");
      run("SELECT pg_sleep(0.005)");  // the other connections are of other threads, their ends the server's
    }
    EXPECT_EQ(now, count);
  }
  // The rows as one connection reads them, which the others must find, too.
  void expect_same_rows(const std::string& table) {
    const auto alone = values(column(table, 1));
    for (const std::size_t readers : {2, 5}) EXPECT_EQ(values(column(table, readers)), alone) << table << " by " << readers;
  }
};

TEST_F(PostgresParallel, every_row_is_read_once_whatever_became_of_its_table) {
  run("INSERT INTO files SELECT 'k' || g FROM generate_series(1, 200000) g");
  run("DELETE FROM files WHERE path LIKE '%7'");
  run("VACUUM files");
  run("UPDATE files SET path = path || 'u' WHERE path LIKE '%3'");
  run("INSERT INTO files SELECT 'late' || g FROM generate_series(1, 1000) g");
  run("DELETE FROM files WHERE path < 'k5'");  // dead, and not vacuumed
  run("INSERT INTO files SELECT NULL FROM generate_series(1, 10)");
  run("INSERT INTO files SELECT (SELECT string_agg(md5(i::text || g), '') FROM generate_series(1, 300) i) FROM generate_series(1, 50) g");  // toasted
  expect_same_rows("files");
  run("TRUNCATE files");
  expect_same_rows("files");
}

TEST_F(PostgresParallel, two_connections_read_their_ranges_alone_while_the_table_grows_and_changes) {
  run("INSERT INTO files SELECT 'k' || g FROM generate_series(1, 600000) g");
  ActingSink sink([&] {
    wait_for_readers("2");
    run("INSERT INTO files SELECT 'late' || g FROM generate_series(1, 50000) g");
    run("UPDATE files SET path = 'moved' || path WHERE path LIKE '%5'");
    run("DELETE FROM files WHERE path LIKE '%6'");
    // Nobody may write the table anew before the last row is read.
    Client other = database_.connect();
    other.run("SET lock_timeout = '50ms'");
    EXPECT_FALSE(other.connection().query("TRUNCATE files"));
    EXPECT_FALSE(other.connection().query("VACUUM FULL files"));
  });
  auto with = column("files", 2);
  with.small_table = PostgresSourceOptions().small_table;
  const auto summary = source(with).read(sink, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(sink.rows, 600'000U);
  EXPECT_EQ(summary->rows, 600'000U);
  EXPECT_EQ(summary->identity.relations, "public.files");
  EXPECT_THAT(run("EXPLAIN SELECT source.path FROM files AS source WHERE source.ctid < '(1000,0)'::tid"), HasSubstr("Tid Range Scan"));
}

TEST_F(PostgresParallel, partitions_are_cut_too_and_need_no_right_of_their_own) {
  run("CREATE TABLE parts(path text, year int) PARTITION BY LIST (year)");
  run("CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1)");
  run("CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2) PARTITION BY HASH (path)");
  run("CREATE TABLE parts_2a PARTITION OF parts_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0)");
  run("CREATE TABLE parts_2b PARTITION OF parts_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1)");
  run("CREATE TABLE parts_3 PARTITION OF parts DEFAULT");
  run("INSERT INTO parts SELECT 'k' || g, 1 + (g % 5) / 4 FROM generate_series(1, 100000) g");
  expect_same_rows("parts");
  const std::string role = create_role();
  run("GRANT SELECT ON parts TO " + role);
  run("ALTER TABLE parts_1 ENABLE ROW LEVEL SECURITY");  // would hide its rows from one who reads it by its own name
  ActingSink sink([&] { EXPECT_EQ(run("SELECT count(*) FROM pg_stat_activity WHERE usename = '" + role + "'"), "3"); });
  const auto summary = source(column("parts", 2, role)).read(sink, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(sink.rows, 100'000U);
}

TEST_F(PostgresParallel, what_has_no_blocks_of_its_own_is_read_by_one) {
  run("INSERT INTO files SELECT 'k' || g FROM generate_series(1, 5000) g");
  run("CREATE VIEW seen AS SELECT path FROM files");
  run("CREATE MATERIALIZED VIEW kept AS SELECT path FROM files");
  run("CREATE TABLE heirs(more int) INHERITS (files)");
  run("INSERT INTO heirs SELECT 'h' || g FROM generate_series(1, 5000) g");
  for (const char* table : {"seen", "kept", "files", "heirs"}) expect_same_rows(table);
  EXPECT_EQ(values(column("files", 2)).size(), 10'000U);
}

TEST_F(PostgresParallel, other_types_and_json_are_read_so_too) {
  run("CREATE TABLE ids AS SELECT md5(g::text)::uuid AS path FROM generate_series(1, 5000) g");
  expect_same_rows("ids");
  run("CREATE TABLE documents AS SELECT jsonb_build_array('a' || g, g, 'b' || g) AS path FROM generate_series(1, 5000) g");
  auto with = column("documents", 2);
  with.json = JsonSelector::parse("values").value();
  EXPECT_EQ(values(with).size(), 10'000U);
}

TEST_F(PostgresParallel, fewer_read_where_the_server_has_no_connection_left) {
  run("INSERT INTO files SELECT 'k' || g FROM generate_series(1, 5000) g");
  const std::string role = create_role("CONNECTION LIMIT 3");  // one of them asks who is writing
  run("GRANT SELECT ON files TO " + role);
  for (const std::size_t readers : {2, 3, 8}) EXPECT_EQ(values(column("files", readers, role)).size(), 5000U) << readers;
  run("ALTER ROLE " + role + " CONNECTION LIMIT 2");
  EXPECT_EQ(values(column("files", 8, role)).size(), 5000U);
  run("ALTER ROLE " + role + " CONNECTION LIMIT 1");
  EXPECT_EQ(error(column("files", 8, role)).code, ErrorCode::throttled);
}

// Invariant 2.
TEST_F(PostgresParallel, one_reader_that_fails_fails_the_read) {
  run("INSERT INTO files SELECT repeat('x', 200) FROM generate_series(1, 300000)");
  for (const char* order : {"ASC", "DESC"}) {
    ActingSink sink([&] {
      wait_for_readers("2");
      run(format("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%source.ctid%' ORDER BY backend_start {} LIMIT 1", order));
    });
    const auto summary = source(column("files", 2)).read(sink, {});
    ASSERT_FALSE(summary) << order;
    EXPECT_EQ(summary.error().code, ErrorCode::unavailable) << summary.error().message;
  }
  run("ALTER TABLE files ADD COLUMN n int");
  EXPECT_EQ(values(column("files", 2)).size(), 300'000U);
}

TEST_F(PostgresParallel, a_stop_ends_all_of_them) {
  run("INSERT INTO files SELECT repeat('x', 200) FROM generate_series(1, 300000)");
  std::stop_source stop;
  ActingSink sink([&] { stop.request_stop(); });
  EXPECT_EQ(source(column("files", 2)).read(sink, stop.get_token()).error().code, ErrorCode::cancelled);
  wait_for_readers("0");
}

// The names of snapshots are small numbers, which another server behind the same address has, too.
TEST_F(PostgresParallel, a_snapshot_of_another_server_is_not_taken_for_ours) {
  using postgres::Session;
  const postgres::SessionOptions options{{database_.url(), std::nullopt}};
  const postgres::Wait wait{{}, std::chrono::seconds(10)};
  Session first = Session::open(options, {}).value();
  ASSERT_TRUE(first.begin(wait));
  const auto shared = first.share(wait).value();
  ASSERT_TRUE(Session::open(options, {})->begin(shared, wait));
  const auto other_token = Session::open(options, {})->begin({shared.name, "12345"}, wait);
  ASSERT_FALSE(other_token);
  EXPECT_EQ(other_token.error().code, ErrorCode::failed_precondition);
  EXPECT_FALSE(Session::open(options, {})->begin({"00000099-00000001-1", shared.token}, wait));
  ASSERT_TRUE(first.connection().commit(wait));
  EXPECT_FALSE(first.another({})->begin(shared, wait));
}

}  // namespace
}  // namespace heimdall::testing
