#include <gmock/gmock.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <sstream>
#include <thread>

#include "base/format.h"
#include "postgres_world.h"
#include "refs/postgres/postgres_text.h"
#include "testing/fake_source.h"

namespace heimdall::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class PostgresTrouble : public PostgresTest {
 protected:
  // Asks until it is so: what a server does after a signal takes its time.
  void wait_until(const std::string& question) {
    for (int i = 0; i < 500; ++i) {
      if (run(question) == "t") return;
      run("SELECT pg_sleep(0.01)");
    }
    FAIL() << question;
  }
  PostgresSourceOptions with_url(const std::string& url) {
    auto with = options();
    with.url = url;
    return with;
  }
  const std::string port_ = postgres_server()["port"];
};

// Invariant 2.
TEST_F(PostgresTrouble, a_backend_that_is_ended_in_mid_stream_is_an_error) {
  run("INSERT INTO files SELECT repeat('x', 200) FROM generate_series(1, 300000)");
  ActingSink sink([&] {
    run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%SELECT path FROM files%' AND pid <> pg_backend_pid()");
  });
  const auto summary = source().read(sink, {});
  ASSERT_FALSE(summary);
  EXPECT_GT(sink.rows, 0U);
  EXPECT_EQ(summary.error().code, ErrorCode::unavailable);
  EXPECT_THAT(summary.error().hint, HasSubstr("nothing that was read so far is believed"));
}

// Invariant 2: errors come after any number of rows.
TEST_F(PostgresTrouble, an_error_behind_the_rows_is_an_error) {
  ActingSink sink([] {});
  auto late = options("SELECT 'k' FROM generate_series(1, 5000) UNION ALL SELECT pg_sleep(20)::text");
  late.statement_timeout = 300ms;
  const auto timeout = source(late).read(sink, {});
  ASSERT_FALSE(timeout);
  EXPECT_GT(sink.rows, 0U);
  EXPECT_EQ(timeout.error().code, ErrorCode::unavailable);
  EXPECT_THAT(timeout.error().hint, HasSubstr("time-out"));

  const Error division = error("SELECT (1 / (5000 - g))::text FROM generate_series(1, 5000) g");
  EXPECT_EQ(division.code, ErrorCode::invalid_argument);
  EXPECT_THAT(division.message, HasSubstr("division by zero"));
}

TEST_F(PostgresTrouble, a_stop_ends_the_query_on_the_server_too) {
  std::stop_source stop;
  ActingSink sink([&] { stop.request_stop(); });
  const auto summary = source("SELECT 'k' FROM generate_series(1, 5000) UNION ALL SELECT pg_sleep(60)::text").read(sink, stop.get_token());
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code, ErrorCode::cancelled);
  wait_until("SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()");
}

// What takes no token of its own has that of the run.
TEST_F(PostgresTrouble, a_stop_ends_what_waits_for_a_lock_before_any_row_is_read) {
  Client other = database_.connect();
  other.run("BEGIN");
  other.run("LOCK TABLE files");
  std::stop_source stop;
  auto with = options();
  with.stop = stop.get_token();
  with.lock_timeout = 1h;
  PostgresSource waiting = source(with);
  for (const bool is_identity : {true, false}) {
    auto asked = std::async(std::launch::async, [&] { return is_identity ? waiting.identity().error().code : waiting.lookup_cost().error().code; });
    if (is_identity) wait_until("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
    stop.request_stop();
    EXPECT_EQ(asked.get(), ErrorCode::cancelled);
  }
  wait_until("SELECT count(*) = 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
}

TEST_F(PostgresTrouble, a_table_that_is_locked_is_waited_for_only_so_long) {
  Client other = database_.connect();
  other.run("BEGIN");
  other.run("LOCK TABLE files");
  auto with = options();
  with.lock_timeout = 100ms;
  EXPECT_EQ(error(with).code, ErrorCode::unavailable);
}

TEST_F(PostgresTrouble, a_query_that_the_server_rejects_says_where) {
  const Error column = error("SELECT pathh FROM files");
  EXPECT_EQ(column.code, ErrorCode::invalid_argument);
  EXPECT_THAT(column.message, HasSubstr("column \"pathh\" does not exist, at \"pathh FROM files\""));
  EXPECT_THAT(column.hint, HasSubstr("files.path"));
  EXPECT_THAT(error("SELECT path FROM filez").message, HasSubstr("relation \"filez\" does not exist"));
  EXPECT_THAT(error("SELECT path FROMM files").message, HasSubstr("syntax error"));
  EXPECT_EQ(error("SELECT path FROM files WHERE path = $1").code, ErrorCode::invalid_argument);
  auto table = options("");
  table.table = "files";
  table.column = "no such column";
  EXPECT_EQ(error(table).code, ErrorCode::invalid_argument);
  table.table = "no.such.table";
  EXPECT_EQ(error(table).code, ErrorCode::invalid_argument);
}

TEST_F(PostgresTrouble, a_query_that_does_more_than_read_is_refused) {
  run("INSERT INTO files VALUES ('a')");
  for (const char* query : {"SELECT path FROM files; DELETE FROM files", "INSERT INTO files VALUES ('x') RETURNING path", "COPY files TO STDOUT",
                            "WITH gone AS (DELETE FROM files RETURNING path) SELECT path FROM gone", "SELECT path FROM files FOR UPDATE",
                            "SELECT path INTO other FROM files", "SELECT nextval('numbers')::text", "COMMIT", ""}) {
    run("CREATE SEQUENCE IF NOT EXISTS numbers");
    EXPECT_EQ(error(query).code, ErrorCode::invalid_argument) << query;
  }
  EXPECT_EQ(run("SELECT string_agg(path, ',') FROM files"), "a");
}

// Rows that are hidden would count as absent.
TEST_F(PostgresTrouble, a_role_that_would_see_less_is_refused) {
  const std::string role = create_role();
  EXPECT_THAT(error(options("SELECT path FROM files", role)).hint, HasSubstr("GRANT SELECT ON files TO " + role));
  EXPECT_EQ(error(options("SELECT path FROM files", role)).code, ErrorCode::permission_denied);
  run("GRANT SELECT ON files TO " + role);
  run("INSERT INTO files VALUES ('mine'), ('theirs')");
  EXPECT_THAT(values(options("SELECT path FROM files", role)), ElementsAre("mine", "theirs"));
  run("ALTER TABLE files ENABLE ROW LEVEL SECURITY");
  run("CREATE POLICY mine ON files USING (path = 'mine')");
  const Error hidden = error(options("SELECT path FROM files", role));
  EXPECT_EQ(hidden.code, ErrorCode::permission_denied);
  EXPECT_THAT(hidden.hint, HasSubstr("BYPASSRLS"));
  EXPECT_THAT(values("SELECT path FROM files"), ElementsAre("mine", "theirs"));
}

TEST_F(PostgresTrouble, a_connection_that_cannot_be_made_says_why) {
  EXPECT_EQ(error(with_url(postgres_url(std::stoi(port_), "no_such_database"))).code, ErrorCode::not_found);
  EXPECT_EQ(error(with_url(database_.url("no_such_role"))).code, ErrorCode::permission_denied);
  EXPECT_EQ(error(with_url("postgresql://postgres@127.0.0.1:1/x")).code, ErrorCode::unavailable);
  EXPECT_EQ(error(with_url("postgresql://postgres@host.invalid/x")).code, ErrorCode::unavailable);
  EXPECT_EQ(error(with_url(database_.url("postgres", "?sslmode=require"))).code, ErrorCode::permission_denied);
  EXPECT_EQ(error(with_url(database_.url("postgres", "?sslmode=sometimes"))).code, ErrorCode::invalid_argument);
  EXPECT_EQ(error(with_url(database_.url("postgres", "?service=nowhere"))).code, ErrorCode::invalid_argument);
  EXPECT_EQ(error(with_url(database_.url("postgres", "?target_session_attrs=read-only"))).code, ErrorCode::unavailable);
  EXPECT_EQ(source(with_url(postgres_url(std::stoi(port_), "no_such_database"))).identity().error().code, ErrorCode::not_found);
  EXPECT_EQ(source(with_url(postgres_url(std::stoi(port_), "no_such_database"))).lookup_cost().error().code, ErrorCode::not_found);
}

// The URL's parameters are libpq's affair: the second of two hosts, an option of the server.
TEST_F(PostgresTrouble, several_hosts_are_tried) {
  run("INSERT INTO files VALUES ('a')");
  const std::string url = format("postgresql://postgres@127.0.0.1:1,127.0.0.1:{}/{}?application_name=x", port_, database_.name());
  EXPECT_THAT(values(with_url(url)), ElementsAre("a"));
}

// More than the sockets hold: it blocks in the middle of sending.
TEST_F(PostgresTrouble, a_server_that_stops_taking_what_is_sent_is_left) {
  for (const bool is_stopped_by_us : {false, true}) {
    Client client = database_.connect();
    const int backend = std::stoi(client.run("SELECT pg_backend_pid()"));
    ASSERT_EQ(kill(backend, SIGSTOP), 0);
    std::stop_source stop;
    if (is_stopped_by_us) stop.request_stop();
    const postgres::Parameter parameters[] = {postgres::text_parameter(std::string(64 << 20, 'x'))};
    const auto answer = client.connection().query("SELECT length($1)", parameters, {stop.get_token(), 200ms});
    ASSERT_EQ(kill(backend, SIGCONT), 0);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, is_stopped_by_us ? ErrorCode::cancelled : ErrorCode::unavailable) << answer.error().message;
    EXPECT_TRUE(client.connection().is_broken());
  }
}

// Invariant 2: only COPY's own end is the end.
TEST_F(PostgresTrouble, a_copy_counts_only_with_the_last_word_of_the_server) {
  Client client = database_.connect();
  std::string all;
  const auto take = [&](std::string_view piece) { all += piece; return Result<void>(); };
  EXPECT_EQ(client.connection().copy_out("COPY (VALUES ('a'), ('b')) TO STDOUT (FORMAT binary)", take).value(), 2U);
  EXPECT_THAT(all, HasSubstr(std::string("\0\1\0\0\0\1b", 7)));
  EXPECT_EQ(client.run("SELECT 1"), "1");  // and the connection goes on
  for (const char* statement : {"COPY (SELECT (1 / (5000 - g))::text FROM generate_series(1, 5000) g) TO STDOUT (FORMAT binary)", "SELECT 'a'", "CHECKPOINT",
                                "COPY (VALUES ('a')) TO STDOUT", "COPY (VALUES ('a')) TO STDOUT (FORMAT binary); SELECT 1", "COPY nothing TO STDOUT (FORMAT binary)"}) {
    Client other = database_.connect();
    EXPECT_FALSE(other.connection().copy_out(statement, take)) << statement;
    EXPECT_TRUE(other.connection().is_broken()) << statement;
  }
  Client failing = database_.connect();
  EXPECT_EQ(failing.connection().copy_out("COPY (VALUES ('a')) TO STDOUT (FORMAT binary)",
                                          [](std::string_view) { return Result<void>(Error{ErrorCode::corrupt, "no"}); }).error().message, "no");
  EXPECT_TRUE(failing.connection().is_broken());
}

TEST_F(PostgresTrouble, a_server_that_never_answers_is_left) {
  const int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(silent, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(silent, 10), 0);
  ASSERT_EQ(getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size), 0);
  auto with = with_url(postgres_url(ntohs(address.sin_port), "x"));
  with.connect_timeout = 200ms;
  EXPECT_EQ(error(with).code, ErrorCode::unavailable);
  with.url = format("postgresql://postgres@127.0.0.1:{},127.0.0.1:{}/{}", ntohs(address.sin_port), port_, database_.name());
  EXPECT_TRUE(source(with).lookup_cost());
  close(silent);
}

TEST_F(PostgresTrouble, a_ping_looks_at_the_server_and_not_at_the_query) {
  EXPECT_TRUE(source("SELECT missing FROM nowhere").ping({}));
  auto with = options();
  with.primary_url = with.url;
  EXPECT_TRUE(source(with).ping({}));
  with.primary_url = postgres_url(1, database_.name());
  EXPECT_EQ(source(with).ping({}).error().code, ErrorCode::unavailable);
  EXPECT_FALSE(source(with_url(postgres_url(std::stoi(port_), "no_such_database"))).ping({}));
}

// Whatever its URL says.
TEST_F(PostgresTrouble, a_ping_of_a_server_that_never_answers_takes_five_seconds) {
  const int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(silent, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(silent, 10), 0);
  ASSERT_EQ(getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(source(with_url(postgres_url(ntohs(address.sin_port), "x") + "?connect_timeout=60")).ping({}).error().code, ErrorCode::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 20s);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(source(with_url(postgres_url(ntohs(address.sin_port), "x"))).ping(stop.get_token()).error().code, ErrorCode::cancelled);
  close(silent);
}

TEST_F(PostgresTrouble, passwords_are_asked_for_and_never_shown) {
  const std::string role = create_role("PASSWORD 'right:p@ss'");
  run("GRANT SELECT ON files TO " + role);
  const std::string rules = postgres_server()["data"] + "/cluster/pg_hba.conf";
  std::stringstream before;
  before << std::ifstream(rules).rdbuf();
  std::ofstream(rules) << "host all " << role << " 127.0.0.1/32 scram-sha-256\n" << before.str();
  run("SELECT pg_reload_conf()");
  wait_until("SELECT count(*) = 1 FROM pg_hba_file_rules WHERE '" + role + "' = ANY(user_name)");

  auto with = options("SELECT path FROM files", role);
  Error error;
  for (int i = 0; i < 500 && error.code != ErrorCode::permission_denied; ++i) {  // until the postmaster has read them
    const auto identity = source(with).identity();
    if (!identity) error = identity.error();
  }
  EXPECT_EQ(error.code, ErrorCode::permission_denied) << error.message;  // no password at all
  with.password = [] { return Result<std::optional<std::string>>("wr0ng-p@ss"); };
  error = this->error(with);
  EXPECT_EQ(error.code, ErrorCode::permission_denied);
  EXPECT_THAT(error.message + error.hint, Not(HasSubstr("wr0ng")));
  with.password = [] { return Result<std::optional<std::string>>(Error{ErrorCode::permission_denied, "no such variable"}); };
  EXPECT_EQ(this->error(with).message, "no such variable");
  with.password = [] { return Result<std::optional<std::string>>("right:p@ss"); };
  EXPECT_THAT(values(with), ElementsAre());

  with.password = {};
  const std::string at = "127.0.0.1:" + port_ + "/" + database_.name();
  with.url = "postgresql://" + role + ":right%3Ap%40ss@" + at;
  EXPECT_THAT(values(with), ElementsAre());
  for (const std::string& url : {"postgresql://" + role + ":s3cret@" + at, "postgresql://" + role + ":s3cret%zz@" + at,
                                 "postgresql://" + role + ":s3cret@127.0.0.1:port/x", std::string("password=s3cret host 'x"),
                                 "postgresql://" + role + "@" + at + "?password=s3cret"}) {
    with.url = url;
    error = this->error(with);
    EXPECT_THAT(error.message + error.hint, Not(HasSubstr("s3cret"))) << url;
    EXPECT_THAT(error.code, AnyOf(ErrorCode::permission_denied, ErrorCode::invalid_argument, ErrorCode::unavailable)) << url;
  }
  std::ofstream(rules) << before.str();
  run("SELECT pg_reload_conf()");
}

// TRUNCATE is not bound to snapshots: a snapshot from before its commit sees the table empty afterwards, and PostgreSQL calls that complete.
TEST_F(PostgresTrouble, a_table_that_is_written_anew_while_it_is_looked_at_fails_the_read) {
  run("INSERT INTO files VALUES ('a'), ('b')");
  Client writer = database_.connect();
  writer.run("BEGIN");
  writer.run("TRUNCATE files");
  writer.run("INSERT INTO files VALUES ('a'), ('b'), ('c')");
  auto read = std::async(std::launch::async, [&] {
    auto reading = source();
    RowCollector rows;
    return reading.read(rows, {});
  });
  // Until the reader waits for the writer's lock, its snapshot taken.
  while (run("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") == "0") {
    std::this_thread::yield();
  }
  writer.run("COMMIT");
  const auto summary = read.get();
  ASSERT_FALSE(summary.has_value());
  EXPECT_EQ(summary.error().code, ErrorCode::unavailable) << summary.error().message;
  EXPECT_EQ(values("SELECT path FROM files").size(), 3U);
}

}  // namespace
}  // namespace heimdall::testing
