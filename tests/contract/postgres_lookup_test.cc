#include <gmock/gmock.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "base/format.h"
#include "postgres_world.h"
#include "refs/postgres/postgres_text.h"
#include "testing/fake_source.h"

namespace heimdall::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAreArray;

class PostgresLookup : public PostgresTest {
 protected:
  std::vector<std::string> found(PostgresSource& in, const std::vector<std::string>& wanted) {
    RowCollector rows;
    const auto summary = in.lookup(wanted, rows, {});
    EXPECT_TRUE(summary) << (summary ? "" : summary.error().message);
    EXPECT_EQ(summary ? summary->rows : 0, rows.rows().size());
    return rows.values();
  }
  LookupCost cost(const std::string& query) {
    const auto cost = source(query).lookup_cost();
    EXPECT_TRUE(cost) << (cost ? "" : cost.error().message);
    return cost.value_or(LookupCost::unsupported);
  }
  WriterMark mark(PostgresSource& of) {
    RowCollector rows;
    const auto summary = of.read(rows, {});
    EXPECT_TRUE(summary) << (summary ? "" : summary.error().message);
    return summary ? summary->writers : WriterMark{};
  }
};

// Invariant 1: a key is found whatever it is made of.
TEST_F(PostgresLookup, odd_keys_are_found) {
  const std::vector<std::string> odd = {"'", "\"", "\\", "a\nb", "{a,b}", "NULL", "", "\xF0\x9F\x98\x80", "e\xCC\x81", std::string(1000, 'x'),
                                        "$1", "\x01\x7f", "a%_b", "a ", "trailing\\"};
  const std::vector<std::string_view> views(odd.begin(), odd.end());
  const postgres::Parameter parameters[] = {postgres::text_array(views)};
  ASSERT_TRUE(client_.connection().query("INSERT INTO files SELECT unnest($1)", parameters));
  auto in = source();
  auto wanted = odd;
  // These cannot be in the database.
  wanted.insert(wanted.end(), {std::string("a\0b", 3), "\xff", "\xED\xA0\x80", "\xC0\x80", "\xF4\x90\x80\x80"});
  EXPECT_THAT(found(in, wanted), UnorderedElementsAreArray(odd));
  EXPECT_THAT(found(in, {"\xff"}), IsEmpty());
}

TEST_F(PostgresLookup, rows_of_now_are_found_on_one_connection) {
  auto in = source();
  EXPECT_THAT(found(in, {"a"}), IsEmpty());
  run("INSERT INTO files VALUES ('a'), ('a'), (NULL), ('b')");
  EXPECT_THAT(found(in, {"a", "c"}), ElementsAre("a", "a"));
  EXPECT_EQ(run("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"), "1");
  RowCollector rows;
  const std::vector<std::string> wanted = {"b"};
  const auto identity = in.identity().value();
  const auto summary = in.lookup(wanted, rows, {});
  EXPECT_EQ(summary->identity.database, identity.database);
  EXPECT_EQ(summary->identity.relations, "public.files");
}

TEST_F(PostgresLookup, a_collation_may_find_more_but_only_the_value_counts) {
  run("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
  run("CREATE TABLE loose(path text COLLATE loose)");
  run("INSERT INTO loose VALUES ('a'), ('A')");
  auto in = source("SELECT path FROM loose");
  EXPECT_THAT(found(in, {"a"}), ElementsAre("a"));
}

TEST_F(PostgresLookup, the_plan_says_what_a_lookup_costs) {
  run("CREATE TABLE big(id int PRIMARY KEY, path text, short varchar(40), padded char(40), doc jsonb, bytes bytea, deleted boolean)");
  run("INSERT INTO big SELECT g, 'k' || g, 'k' || g, 'k' || g, '{}', '', false FROM generate_series(1, 30000) g");
  run("INSERT INTO files SELECT 'k' || g FROM generate_series(1, 5000) g");
  EXPECT_EQ(cost("SELECT path FROM big"), LookupCost::full_scan);
  run("CREATE INDEX ON big(deleted)");
  EXPECT_EQ(cost("SELECT path FROM big WHERE NOT deleted"), LookupCost::full_scan);
  run("CREATE INDEX ON big(path)");
  run("CREATE INDEX ON big(short)");
  EXPECT_EQ(cost("SELECT path FROM big"), LookupCost::indexed);  // never analysed
  run("ANALYZE big");
  EXPECT_EQ(cost("SELECT path FROM big"), LookupCost::indexed);
  EXPECT_EQ(cost("SELECT short FROM big WHERE path IS NOT NULL;"), LookupCost::indexed);
  EXPECT_EQ(cost("SELECT path FROM files"), LookupCost::indexed);  // small
  EXPECT_EQ(cost("SELECT path FROM big UNION ALL SELECT path FROM files"), LookupCost::indexed);
  EXPECT_EQ(cost("SELECT b.path FROM big b JOIN big c ON c.id = b.id"), LookupCost::indexed);
  EXPECT_EQ(cost("WITH all_of AS MATERIALIZED (SELECT path FROM big) SELECT path FROM all_of"), LookupCost::full_scan);
  EXPECT_EQ(cost("SELECT lower(path) FROM big"), LookupCost::full_scan);
  for (const char* query : {"SELECT path AS key, short AS bucket FROM big", "SELECT padded FROM big", "SELECT bytes FROM big", "SELECT id FROM big"}) {
    EXPECT_EQ(cost(query), LookupCost::unsupported) << query;
    RowCollector rows;
    EXPECT_EQ(source(query).lookup({}, rows, {}).error().code, ErrorCode::failed_precondition) << query;
  }
  auto json = options("SELECT doc FROM big");
  json.json = JsonSelector::parse("values").value();
  json.recheck = "SELECT path FROM big WHERE path = ANY($1)";
  EXPECT_EQ(source(json).lookup_cost().value(), LookupCost::unsupported);
}

TEST_F(PostgresLookup, a_recheck_query_takes_the_place_of_ours) {
  run("CREATE TABLE big(path text)");
  run("INSERT INTO big SELECT 's3://b/k' || g FROM generate_series(1, 30000) g");
  run("CREATE INDEX ON big(substr(path, 8))");
  auto with = options("SELECT path FROM big");
  EXPECT_EQ(source(with).lookup_cost().value(), LookupCost::full_scan);
  with.recheck = "SELECT path FROM big WHERE substr(path, 8) = ANY($1) -- by the key";
  EXPECT_EQ(source(with).lookup_cost().value(), LookupCost::indexed);
  auto in = source(with);
  EXPECT_THAT(found(in, {"k17", "nothing"}), ElementsAre("s3://b/k17"));
  for (const char* recheck : {"SELECT path FROM big", "SELECT path FROM big WHERE path = ANY($1) LIMIT 10", "DELETE FROM big WHERE path = ANY($1)",
                              "SELECT path FROM big WHERE path = ANY($1) AND path = $2", "SELECT path FROM bigg WHERE path = ANY($1)"}) {
    with.recheck = recheck;
    EXPECT_EQ(source(with).lookup_cost().error().code, ErrorCode::invalid_argument) << recheck;
  }
}

TEST_F(PostgresLookup, a_connection_that_broke_is_replaced_and_one_that_cannot_be_made_is_an_error) {
  run("INSERT INTO files VALUES ('a')");
  auto in = source();
  EXPECT_THAT(found(in, {"a"}), ElementsAre("a"));
  run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
  EXPECT_THAT(found(in, {"a"}), ElementsAre("a"));
  postgres_server().tell("stop");
  RowCollector rows;
  const std::vector<std::string> wanted = {"a"};
  EXPECT_EQ(in.lookup(wanted, rows, {}).error().code, ErrorCode::unavailable);
  postgres_server().tell("start");
  EXPECT_THAT(found(in, {"a"}), ElementsAre("a"));
  client_ = database_.connect();
}

TEST_F(PostgresLookup, a_backend_that_hangs_is_left) {
  run("INSERT INTO files SELECT 'k' || g FROM generate_series(1, 300000) g");
  auto with = options();
  with.connect_timeout = with.lock_timeout = with.statement_timeout = 200ms;
  auto in = source(with);
  EXPECT_THAT(found(in, {"k7"}), ElementsAre("k7"));
  const std::string backend = run("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
  ASSERT_EQ(kill(std::stoi(backend), SIGSTOP), 0);
  EXPECT_THAT(found(in, {"k7"}), ElementsAre("k7"));
  ASSERT_EQ(kill(std::stoi(backend), SIGCONT), 0);

  // Invariant 2: in the middle of a read it is an error.
  std::string reader;
  ActingSink sink([&] {
    reader = run("SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY%SELECT path FROM files%' AND state = 'active'");
    ASSERT_EQ(kill(std::stoi(reader), SIGSTOP), 0);
  });
  const auto summary = source(with).read(sink, {});
  ASSERT_EQ(kill(std::stoi(reader), SIGCONT), 0);
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code, ErrorCode::unavailable);
  EXPECT_THAT(summary.error().message, HasSubstr("no answer"));
}

// Invariant 1: a reference that was written before the snapshot and is committed after it must be waited for.
TEST_F(PostgresLookup, an_open_transaction_is_waited_for_and_named) {
  auto in = source();
  Client reader = database_.connect();
  reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
  reader.run("SELECT count(*) FROM files");
  EXPECT_EQ(mark(in).text, "");  // who only reads is in nobody's way

  TestDatabase elsewhere;
  Client writer(elsewhere.url("postgres", "?application_name=importer"));
  writer.run("CREATE TABLE t(x int)");
  writer.run("BEGIN");
  writer.run("INSERT INTO t VALUES (1)");
  const WriterMark busy = mark(in);
  EXPECT_THAT(busy.text, HasSubstr("xid8:"));
  Client late = database_.connect();
  late.run("BEGIN");
  late.run("INSERT INTO files VALUES ('late')");

  const auto waited = in.wait_for_writers(busy, 500ms, {});
  ASSERT_FALSE(waited);
  EXPECT_EQ(clock_.slept(), 500ms);
  EXPECT_EQ(waited.error().code, ErrorCode::failed_precondition);
  EXPECT_THAT(waited.error().message, HasSubstr(format("process {} importer of postgres in {}, idle in transaction, since ",
                                                       writer.run("SELECT pg_backend_pid()"), elsewhere.name())));
  EXPECT_THAT(waited.error().message, Not(HasSubstr(late.run("SELECT pg_backend_pid()"))));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(in.wait_for_writers(busy, 1h, stop.get_token()).error().code, ErrorCode::cancelled);

  writer.run("COMMIT");
  EXPECT_TRUE(in.wait_for_writers(busy, 0ms, {}));  // the later one is not waited for
  late.run("ROLLBACK");
  EXPECT_EQ(mark(in).text, "");
  EXPECT_EQ(in.wait_for_writers({"pid:3"}, 0ms, {}).error().code, ErrorCode::corrupt);
}

TEST_F(PostgresLookup, a_prepared_transaction_is_waited_for_by_a_role_that_only_reads) {
  const std::string role = create_role();
  run("GRANT SELECT ON files TO " + role);
  auto in = source(options("SELECT path FROM files", role));
  EXPECT_EQ(mark(in).text, "");
  run("BEGIN");
  run("INSERT INTO files VALUES ('a')");
  run("PREPARE TRANSACTION 'two phases'");
  const WriterMark busy = mark(in);
  const auto waited = in.wait_for_writers(busy, 0ms, {});
  ASSERT_FALSE(waited);
  EXPECT_THAT(waited.error().message, HasSubstr("prepared transaction 'two phases' of postgres in " + database_.name()));
  run("COMMIT PREPARED 'two phases'");
  EXPECT_TRUE(in.wait_for_writers(busy, 0ms, {}));
}

// Invariant 9.
TEST_F(PostgresLookup, a_hold_excludes_another_one_until_it_or_its_session_ends) {
  const std::string role = create_role();
  auto here = source(), there = source(options("SELECT path FROM files", role));
  auto hold = here.hold("bucket one");
  ASSERT_TRUE(hold) << hold.error().message;
  EXPECT_TRUE((*hold)->still_held());
  EXPECT_TRUE((*hold)->still_held());
  EXPECT_FALSE((*hold)->was_spoken_to());
  const std::string holder = run("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())");
  const auto second = there.hold("bucket one");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::locked);
  EXPECT_THAT(second.error().message, HasSubstr("process " + holder + " heimdall-storage of postgres"));
  EXPECT_TRUE(there.hold("bucket two"));
  hold->reset();
  hold = there.hold("bucket one");
  for (int i = 0; i < 500 && !hold; ++i) hold = there.hold("bucket one");  // the server takes a moment to see the end
  ASSERT_TRUE(hold) << hold.error().message;
  run("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())");
  for (int i = 0; i < 500 && !(*hold)->was_spoken_to(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE((*hold)->was_spoken_to());
  EXPECT_FALSE((*hold)->still_held());
  EXPECT_TRUE(here.hold("bucket one"));
  EXPECT_FALSE((*hold)->still_held());
}

TEST_F(PostgresLookup, a_hold_on_a_server_that_hangs_is_not_held) {
  auto in = source();
  auto hold = in.hold("bucket");
  ASSERT_TRUE(hold);
  run("SELECT pg_advisory_unlock_all()");  // somebody else's session: changes nothing
  EXPECT_TRUE((*hold)->still_held());
  const std::string holder = run("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())");
  ASSERT_EQ(kill(std::stoi(holder), SIGSTOP), 0);
  EXPECT_FALSE((*hold)->still_held());
  ASSERT_EQ(kill(std::stoi(holder), SIGCONT), 0);
}

}  // namespace
}  // namespace heimdall::testing
