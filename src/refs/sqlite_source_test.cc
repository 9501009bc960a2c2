#include "refs/sqlite_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/format.h"
#include "testing/fake_clock.h"
#include "testing/fake_source.h"

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using testing::FakeRow;
using testing::RowCollector;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

// A process of its own that opens the database and does what it is told: a writer such as the application is.
class OtherProcess {
 public:
  explicit OtherProcess(const std::filesystem::path& path) {
    EXPECT_EQ(pipe(orders_.data()), 0);
    EXPECT_EQ(pipe(answers_.data()), 0);
    pid_ = fork();
    if (pid_ != 0) {
      close(orders_[0]);
      close(answers_[1]);
      return;
    }
    close(orders_[1]);
    auto db = sqlite::Database::open(path, sqlite::OpenMode::create, 0ms);
    char order = 0;
    while (::read(orders_[0], &order, 1) == 1) {
      const char* sql = order == 'b' ? "BEGIN IMMEDIATE; INSERT INTO files(path) VALUES ('uncommitted')" : order == 'c' ? "COMMIT" : "ROLLBACK";
      const char answer = db && db->execute(sql) ? 'y' : 'n';
      if (::write(answers_[1], &answer, 1) != 1) break;
    }
    _exit(0);
  }
  OtherProcess(const OtherProcess&) = delete;
  OtherProcess& operator=(const OtherProcess&) = delete;
  ~OtherProcess() {
    close(orders_[1]);
    close(answers_[0]);
    waitpid(pid_, nullptr, 0);
  }

  void begin() { tell('b'); }
  void commit() { tell('c'); }
  void roll_back() { tell('r'); }
  pid_t pid() const { return pid_; }

 private:
  void tell(char order) {
    char answer = 0;
    EXPECT_EQ(::write(orders_[1], &order, 1), 1);
    EXPECT_EQ(::read(answers_[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y') << order;
  }
  std::array<int, 2> orders_{};
  std::array<int, 2> answers_{};
  pid_t pid_ = 0;
};

// A clock on which something happens while somebody sleeps.
class EventfulClock final : public Clock {
 public:
  std::function<void()> on_sleep = [] {};
  Timestamp now() const override { return clock_.now(); }
  BootTime boot_now() const override { return clock_.boot_now(); }
  std::string boot_id() const override { return clock_.boot_id(); }
  void sleep_for(std::chrono::nanoseconds duration, std::stop_token stop) override {
    clock_.sleep_for(duration, stop);
    on_sleep();
  }

 private:
  FakeClock clock_;
};

class SqliteSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "heimdall-sqlite-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = std::filesystem::canonical(pattern);
    path_ = directory_ / "app.db";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void run(const std::string& sql) {
    auto db = sqlite::Database::open(path_, sqlite::OpenMode::create, 0ms);
    ASSERT_TRUE(db) << db.error().message;
    const auto done = db->execute(sql);
    ASSERT_TRUE(done) << done.error().message;
  }
  void make_files(const std::string& mode = "DELETE") {
    run(format("PRAGMA journal_mode={}; CREATE TABLE files(id INTEGER PRIMARY KEY, path TEXT, store TEXT);"
               "INSERT INTO files(path, store) VALUES ('a','x'),('b/c','y'),(NULL,'x'),('','x')", mode));
  }
  SqliteSource source(std::string query) {
    SqliteSourceOptions options;
    options.path = path_;
    options.query = std::move(query);
    options.busy_timeout = 1ms;
    return SqliteSource(std::move(options), clock_);
  }
  SqliteSource source(std::string table, std::string column) {
    SqliteSourceOptions options;
    options.path = path_;
    options.table = std::move(table);
    options.column = std::move(column);
    return SqliteSource(std::move(options), clock_);
  }
  std::vector<FakeRow> rows_of(SqliteSource from) {
    RowCollector collector;
    const auto summary = from.read(collector, {});
    EXPECT_TRUE(summary) << summary.error().message;
    if (summary) {
      EXPECT_EQ(summary->rows, collector.rows().size());
    }
    return collector.rows();
  }
  Error refusal(SqliteSource from) {
    RowCollector collector;
    const auto summary = from.read(collector, {});
    EXPECT_FALSE(summary);
    return summary ? Error{} : summary.error();
  }

  std::filesystem::path directory_;
  std::filesystem::path path_;
  EventfulClock clock_;
};

TEST_F(SqliteSourceTest, hands_over_every_row_and_null_as_blank) {
  make_files();
  const std::vector<FakeRow> expected = {{"a"}, {"b/c"}, {""}, {""}};
  EXPECT_EQ(rows_of(source("SELECT path FROM files")), expected);
  EXPECT_EQ(rows_of(source("files", "path")), expected);
  EXPECT_EQ(rows_of(source("VALUES ('v')")), std::vector<FakeRow>{{"v"}});
  EXPECT_EQ(rows_of(source("WITH q AS (SELECT 'w') SELECT * FROM q; -- the end")), std::vector<FakeRow>{{"w"}});
}

TEST_F(SqliteSourceTest, key_and_bucket_come_in_any_order) {
  make_files();
  const std::vector<FakeRow> expected = {{"a", "x"}};
  EXPECT_EQ(rows_of(source("SELECT path AS key, store AS bucket FROM files WHERE id=1")), expected);
  EXPECT_EQ(rows_of(source("SELECT store AS Bucket, path AS Key FROM files WHERE id=1")), expected);
}

TEST_F(SqliteSourceTest, bytes_are_not_touched) {
  run("CREATE TABLE t(v); INSERT INTO t VALUES (x'00ff2f'), ('a' || char(0) || 'b'), (42), (1.5), (x'')");
  EXPECT_THAT(rows_of(source("SELECT v FROM t")), ElementsAre(FakeRow{std::string("\0\xff/", 3)}, FakeRow{std::string("a\0b", 3)},
                                                              FakeRow{"42"}, FakeRow{"1.5"}, FakeRow{""}));
}

TEST_F(SqliteSourceTest, more_rows_than_a_batch_all_arrive) {
  run("CREATE TABLE t(v TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000) INSERT INTO t SELECT 'k'||i FROM n");
  EXPECT_EQ(rows_of(source("t", "v")).size(), 5000U);
}

TEST_F(SqliteSourceTest, odd_names_are_quoted) {
  run("CREATE TABLE \"odd \"\"table\"(\"a\"\"b c\" TEXT); INSERT INTO \"odd \"\"table\" VALUES ('k')");
  EXPECT_EQ(rows_of(source("odd \"table", "a\"b c")), std::vector<FakeRow>{{"k"}});
}

// Invariant 2: SQLite would take the missing column for a string, and every row for that key.
TEST_F(SqliteSourceTest, a_missing_column_is_an_error_even_in_quotes) {
  make_files();
  for (SqliteSource from : {source("files", "missing"), source("SELECT \"missing\" FROM files"), source("SELECT missing FROM files")}) {
    const Error error = refusal(std::move(from));
    EXPECT_EQ(error.code, ErrorCode::invalid_argument);
    EXPECT_THAT(error.message, AllOf(HasSubstr("missing"), HasSubstr("app.db")));
    EXPECT_NE(error.hint, "");
  }
}

TEST_F(SqliteSourceTest, a_missing_table_is_an_error) {
  make_files();
  EXPECT_EQ(refusal(source("nothing", "path")).code, ErrorCode::invalid_argument);
  EXPECT_THAT(refusal(source("nothing", "path")).message, HasSubstr("no such table: nothing"));
}

// Invariant 2: no file is not an empty file, and reading makes none.
TEST_F(SqliteSourceTest, a_missing_file_is_not_found_and_not_created) {
  const Error error = refusal(source("SELECT path FROM files"));
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_THAT(error.message, HasSubstr(path_.string()));
  EXPECT_THAT(error.hint, HasSubstr("never creates it"));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(SqliteSourceTest, what_is_no_database_is_an_error) {
  std::ofstream(path_) << std::string(5000, 'x');
  EXPECT_EQ(refusal(source("SELECT path FROM files")).code, ErrorCode::corrupt);
  std::ofstream(path_, std::ios::trunc).close();
  const Error empty = refusal(source("SELECT path FROM files"));
  EXPECT_EQ(empty.code, ErrorCode::invalid_argument);
  EXPECT_THAT(empty.message, HasSubstr("files"));
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_EQ(refusal(source("SELECT path FROM files")).code, ErrorCode::invalid_argument);
}

// Invariant 2: the file is cut in the middle of its pages.
TEST_F(SqliteSourceTest, a_cut_database_is_an_error) {
  run("CREATE TABLE t(v TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000) INSERT INTO t SELECT 'key'||i FROM n");
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) / 2 / 4096 * 4096);
  EXPECT_EQ(refusal(source("t", "v")).code, ErrorCode::corrupt);
}

TEST_F(SqliteSourceTest, only_one_reading_statement_is_taken) {
  make_files();
  for (const char* query : {"DELETE FROM files", "SELECT path FROM files; DELETE FROM files", "PRAGMA journal_mode=WAL", "ATTACH 'x' AS y",
                            "SELECT path FROM files WHERE id = ?", "SELECT path, store FROM files", "SELECT path AS key, store, id FROM files",
                            "EXPLAIN SELECT path FROM files", "WITH q AS (SELECT 1) DELETE FROM files", "-- nothing", "BEGIN", "SELECT"}) {
    const Error error = refusal(source(query));
    EXPECT_EQ(error.code, ErrorCode::invalid_argument) << query;
    EXPECT_NE(error.hint, "") << query;
  }
  std::string cut = "SELECT path FROM files";
  cut += '\0';
  EXPECT_EQ(refusal(source(cut + "WHERE 0")).code, ErrorCode::invalid_argument);
  EXPECT_EQ(rows_of(source("files", "path")).size(), 4U);
}

// Guard partial_query.
TEST_F(SqliteSourceTest, a_limit_is_told_also_behind_a_view) {
  make_files();
  run("CREATE VIEW some AS SELECT path FROM files LIMIT 1; CREATE VIEW outer_view AS SELECT path FROM some");
  RowCollector collector;
  EXPECT_EQ(source("SELECT path FROM files").read(collector, {})->partial, std::nullopt);
  EXPECT_NE(source("SELECT path FROM files LIMIT 2").read(collector, {})->partial, std::nullopt);
  EXPECT_NE(source("SELECT path FROM some").read(collector, {})->partial, std::nullopt);
  EXPECT_NE(source("SELECT path FROM outer_view").read(collector, {})->partial, std::nullopt);
}

// Guard identity_changed.
TEST_F(SqliteSourceTest, identity_names_the_file_and_what_is_behind_the_query) {
  make_files();
  run("CREATE TABLE more(path TEXT)");
  std::filesystem::create_symlink(path_, directory_ / "link.db");
  SqliteSource plain = source("SELECT path FROM files");
  const SourceIdentity identity = plain.identity().value();
  EXPECT_THAT(identity.database, StartsWith("sqlite:" + path_.string() + "#"));
  EXPECT_EQ(identity.relations, "files");
  RowCollector collector;
  EXPECT_EQ(plain.read(collector, {})->identity, identity);
  EXPECT_EQ(source("SELECT path FROM files UNION SELECT path FROM more").identity()->relations, "files,more");
  path_ = directory_ / "link.db";
  EXPECT_EQ(source("SELECT path FROM files").identity().value(), identity);
}

TEST_F(SqliteSourceTest, json_values_are_rows) {
  run(R"(CREATE TABLE t(v); INSERT INTO t VALUES ('{"a":"1","b":["2",{"c":"3"}]}'), (NULL), ('["4"]'), ('17'))");
  SqliteSourceOptions options;
  options.path = path_;
  options.query = "SELECT v FROM t";
  options.json = JsonSelector::parse("values").value();
  EXPECT_EQ(rows_of(SqliteSource(options, clock_)), (std::vector<FakeRow>{{"1"}, {"2"}, {"3"}, {""}, {"4"}}));
  options.json = JsonSelector::parse("$.b[*].c").value();
  EXPECT_EQ(rows_of(SqliteSource(options, clock_)), (std::vector<FakeRow>{{"3"}, {""}}));
  // Invariant 2: what does not parse may name anything.
  run("INSERT INTO t VALUES ('plain/key.npy')");
  const Error error = refusal(SqliteSource(options, clock_));
  EXPECT_EQ(error.code, ErrorCode::corrupt);
  EXPECT_THAT(error.message, HasSubstr("plain/key.npy"));
  EXPECT_EQ(SqliteSource(options, clock_).lookup_cost().value(), LookupCost::unsupported);
}

TEST_F(SqliteSourceTest, a_stop_ends_a_long_query) {
  make_files();
  std::stop_source stop;
  stop.request_stop();
  RowCollector collector;
  const auto summary = source("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n WHERE i<0").read(collector, stop.get_token());
  EXPECT_EQ(summary.error().code, ErrorCode::cancelled);
}

TEST_F(SqliteSourceTest, an_error_of_the_sink_ends_the_read_unchanged) {
  class FullSink final : public RowSink {
    Result<void> add(std::span<const ReferenceRow>) override { return Error{ErrorCode::not_found, "sink", "hint"}; }
  } sink;
  make_files();
  const auto summary = source("files", "path").read(sink, {});
  EXPECT_EQ(summary.error().code, ErrorCode::not_found);
  EXPECT_EQ(summary.error().message, "sink");
}

TEST_F(SqliteSourceTest, a_locked_database_is_unavailable_and_names_the_writer) {
  make_files();
  auto writer = sqlite::Database::open(path_, sqlite::OpenMode::create, 0ms).value();
  ASSERT_TRUE(writer.execute("BEGIN EXCLUSIVE"));
  const Error error = refusal(source("SELECT path FROM files"));
  EXPECT_EQ(error.code, ErrorCode::unavailable);
  EXPECT_THAT(error.message, HasSubstr(format("process {}", getpid())));
  EXPECT_THAT(error.hint, HasSubstr("writing"));
}

// Section 4: a WAL that cannot be opened refuses; its rows would be missed.
TEST_F(SqliteSourceTest, a_wal_that_cannot_be_opened_is_an_error) {
  make_files("WAL");
  std::filesystem::create_symlink(directory_ / "missing" / "shm", path_.string() + "-shm");
  const Error error = refusal(source("SELECT path FROM files"));
  EXPECT_EQ(error.code, ErrorCode::permission_denied);
  EXPECT_THAT(error.hint, HasSubstr("-wal"));
}

TEST_F(SqliteSourceTest, rows_that_are_only_in_the_wal_are_read) {
  make_files("WAL");
  auto application = sqlite::Database::open(path_, sqlite::OpenMode::create, 0ms).value();
  ASSERT_TRUE(application.execute("PRAGMA wal_autocheckpoint=0; INSERT INTO files(path) VALUES ('new')"));
  EXPECT_EQ(rows_of(source("files", "path")).size(), 5U);
}

// A crash of the application left a journal that only a writer may play back: the file alone is half a transaction.
TEST_F(SqliteSourceTest, a_hot_journal_is_an_error) {
  make_files();
  {
    auto application = sqlite::Database::open(path_, sqlite::OpenMode::create, 0ms).value();
    ASSERT_TRUE(application.execute("PRAGMA cache_size=1; PRAGMA cache_spill=1; BEGIN IMMEDIATE;"
                                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000) INSERT INTO files(path) SELECT 'k'||i FROM n"));
    std::filesystem::copy_file(path_, directory_ / "crashed.db");
    std::filesystem::copy_file(path_.string() + "-journal", directory_ / "crashed.db-journal");
    ASSERT_TRUE(application.execute("ROLLBACK"));
  }
  path_ = directory_ / "crashed.db";
  const Error error = refusal(source("files", "path"));
  EXPECT_EQ(error.code, ErrorCode::permission_denied);
  EXPECT_NE(error.hint, "");
}

TEST_F(SqliteSourceTest, a_mount_point_is_found_in_the_list_of_mounts) {
  const std::string_view mounts = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n36 22 8:1 /x /data/my\\040app.db rw - ext4 /dev/sda1 rw\n";
  EXPECT_TRUE(is_mount_point(mounts, "/data/my app.db"));
  EXPECT_FALSE(is_mount_point(mounts, "/data"));
  EXPECT_FALSE(is_mount_point("broken", "/data"));
}

// Section 4: a recheck counts once every transaction that was writing when the snapshot was taken has ended.
class Writers : public SqliteSourceTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(Writers, nobody_writing_is_no_mark) {
  make_files(GetParam());
  RowCollector collector;
  const auto summary = source("files", "path").read(collector, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->writers.text, "");
  EXPECT_TRUE(source("files", "path").wait_for_writers(summary->writers, 0ms, {}));
}

TEST_P(Writers, an_open_write_transaction_is_waited_for_until_it_commits) {
  make_files(GetParam());
  OtherProcess application(path_);
  application.begin();
  SqliteSource from = source("files", "path");
  RowCollector collector;
  const auto summary = from.read(collector, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->rows, 4U);
  EXPECT_THAT(summary->writers.text, HasSubstr(format("pid {} ", application.pid())));

  int sleeps = 0;
  clock_.on_sleep = [&] {
    if (++sleeps == 3) application.commit();
  };
  const auto waited = from.wait_for_writers(summary->writers, 60s, {});
  EXPECT_TRUE(waited) << waited.error().message;
  EXPECT_EQ(sleeps, 3);
  EXPECT_EQ(rows_of(source("files", "path")).size(), 5U);
}

TEST_P(Writers, patience_ends_and_the_process_is_named) {
  make_files(GetParam());
  OtherProcess application(path_);
  application.begin();
  SqliteSource from = source("files", "path");
  RowCollector collector;
  const auto summary = from.read(collector, {});
  ASSERT_TRUE(summary) << summary.error().message;
  const BootTime before = clock_.boot_now();
  const auto waited = from.wait_for_writers(summary->writers, 2s, {});
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, ErrorCode::failed_precondition);
  EXPECT_THAT(waited.error().message, HasSubstr(format("process {} ", application.pid())));
  EXPECT_NE(waited.error().hint, "");
  EXPECT_EQ(clock_.boot_now() - before, 2s);
  application.roll_back();
  EXPECT_TRUE(from.wait_for_writers(summary->writers, 0ms, {}));
}

// A busy application always has some transaction open: only the one of the snapshot matters.
TEST_P(Writers, the_next_transaction_of_the_same_process_is_another_one) {
  make_files(GetParam());
  OtherProcess application(path_);
  application.begin();
  SqliteSource from = source("files", "path");
  RowCollector collector;
  const auto summary = from.read(collector, {});
  ASSERT_TRUE(summary) << summary.error().message;
  application.commit();
  application.begin();
  const auto waited = from.wait_for_writers(summary->writers, 0ms, {});
  EXPECT_TRUE(waited) << waited.error().message;
}

TEST_P(Writers, a_transaction_of_another_process_is_another_one) {
  make_files(GetParam());
  OtherProcess first(path_);
  OtherProcess second(path_);
  first.begin();
  SqliteSource from = source("files", "path");
  RowCollector collector;
  const auto summary = from.read(collector, {});
  ASSERT_TRUE(summary) << summary.error().message;
  first.roll_back();
  second.begin();
  EXPECT_TRUE(from.wait_for_writers(summary->writers, 0ms, {}));
}

TEST_P(Writers, a_stop_ends_the_wait) {
  make_files(GetParam());
  OtherProcess application(path_);
  application.begin();
  SqliteSource from = source("files", "path");
  RowCollector collector;
  const auto summary = from.read(collector, {});
  ASSERT_TRUE(summary) << summary.error().message;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(from.wait_for_writers(summary->writers, 60s, stop.get_token()).error().code, ErrorCode::cancelled);
}

// Closing any descriptor of a file drops the locks of the whole process on it: looking for writers must not.
TEST_P(Writers, looking_for_them_takes_no_lock_away) {
  make_files(GetParam());
  auto reader = sqlite::Database::open(path_, sqlite::OpenMode::create, 0ms).value();
  ASSERT_TRUE(reader.execute("BEGIN IMMEDIATE"));
  const auto file = locate_sqlite_file(path_).value();
  const auto seen = look_for_writer(file);
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_EQ(seen->pid, getpid());
  EXPECT_TRUE(look_for_writer(file)->writing) << "the first look took the lock away";
}

INSTANTIATE_TEST_SUITE_P(JournalModes, Writers, ::testing::Values("DELETE", "WAL"), [](const auto& mode) { return std::string(mode.param); });

TEST_F(SqliteSourceTest, lookup_finds_text_and_blobs_and_nothing_else) {
  run("CREATE TABLE t(v TEXT COLLATE NOCASE); INSERT INTO t VALUES ('a'),('A'),('b'),(x'61'),(NULL),(''),(7)");
  SqliteSource from = source("SELECT v FROM t -- all of them");
  RowCollector collector;
  const std::vector<std::string> wanted = {"a", "7", "absent"};
  const auto summary = from.lookup(wanted, collector, {});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_THAT(collector.values(), UnorderedElementsAre("a", "a", "7"));
  EXPECT_EQ(summary->rows, 3U);
  EXPECT_EQ(summary->identity, from.identity().value());
}

TEST_F(SqliteSourceTest, lookup_says_what_it_costs) {
  run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT, w VARCHAR(9), kind TEXT, any_type, n INTEGER);"
      "CREATE INDEX by_v ON t(v); CREATE INDEX by_kind ON t(kind); CREATE VIEW view_v AS SELECT v AS key FROM t WHERE v IS NOT NULL;"
      "CREATE VIEW both AS SELECT v FROM t UNION ALL SELECT n FROM t");
  const auto cost = [&](const char* query) { return source(query).lookup_cost().value(); };
  EXPECT_EQ(cost("SELECT v FROM t"), LookupCost::indexed);
  EXPECT_EQ(cost("SELECT v FROM t WHERE v IS NOT NULL;"), LookupCost::indexed);
  EXPECT_EQ(cost("SELECT key FROM view_v"), LookupCost::indexed);
  EXPECT_EQ(cost("WITH q AS (SELECT v FROM t) SELECT v FROM q"), LookupCost::indexed);
  EXPECT_EQ(source("t", "v").lookup_cost().value(), LookupCost::indexed);
  EXPECT_EQ(cost("SELECT w FROM t"), LookupCost::full_scan);
  EXPECT_EQ(cost("SELECT w FROM t WHERE kind = 'x'"), LookupCost::full_scan) << "the index is not one on the value";
  // A value that may be stored in another form than it reads as would be missed.
  EXPECT_EQ(cost("SELECT n FROM t"), LookupCost::unsupported);
  EXPECT_EQ(cost("SELECT any_type FROM t"), LookupCost::unsupported);
  EXPECT_EQ(cost("SELECT lower(v) FROM t"), LookupCost::unsupported);
  EXPECT_EQ(cost("SELECT v FROM t UNION ALL SELECT n FROM t"), LookupCost::unsupported);
  EXPECT_EQ(cost("SELECT v FROM both"), LookupCost::unsupported);
  EXPECT_EQ(cost("SELECT v AS key, kind AS bucket FROM t"), LookupCost::unsupported);
  RowCollector collector;
  EXPECT_EQ(source("SELECT n FROM t").lookup({}, collector, {}).error().code, ErrorCode::failed_precondition);
}

// Invariant 1: the recheck is as exact as the snapshot; more values than one statement takes are no difference.
TEST_F(SqliteSourceTest, lookup_agrees_with_read_for_any_bytes) {
  rc::check([&] {
    std::filesystem::remove(path_);
    const auto stored = *rc::gen::container<std::vector<std::string>>(rc::gen::arbitrary<std::string>());
    const auto fillers = static_cast<std::size_t>(*rc::gen::inRange(0, 1200));
    {
      auto db = sqlite::Database::open(path_, sqlite::OpenMode::create, 0ms).value();
      RC_ASSERT(db.execute("PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF; CREATE TABLE t(v TEXT)").has_value());
      for (const std::string& value : stored) {
        auto insert = db.prepare("INSERT INTO t VALUES (?)").value();
        value.size() % 2 == 0 ? insert.bind_text(1, value) : insert.bind_blob(1, value);
        RC_ASSERT(insert.step().has_value());
      }
    }
    std::vector<std::string> wanted;
    for (std::size_t i = 0; i < fillers; ++i) wanted.push_back(format("absent/{}", i));
    wanted.insert(wanted.end(), stored.begin(), stored.end());
    RowCollector whole;
    RowCollector found;
    RC_ASSERT(source("t", "v").read(whole, {}).has_value());
    RC_ASSERT(source("t", "v").lookup(wanted, found, {}).has_value());
    const auto values = found.values();
    for (const std::string& value : whole.values()) RC_ASSERT(std::set<std::string>(values.begin(), values.end()).contains(value));
  });
}

}  // namespace
}  // namespace heimdall
