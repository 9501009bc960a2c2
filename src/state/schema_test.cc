#include "state/schema.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "base/format.h"
#include "state/test_support.h"

namespace heimdall {
namespace {

using std::chrono::hours;
using testing::ended_with;
using testing::FakeClock;
using testing::in_child;
using testing::TempDir;
using testing::was_killed;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The tables of version 1, as it made them.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE runs (
  run_id         TEXT PRIMARY KEY,
  command        TEXT NOT NULL,
  status         TEXT NOT NULL,
  dry_run        INTEGER NOT NULL,
  started_at     INTEGER NOT NULL,
  completed_at   INTEGER,
  error          TEXT NOT NULL,
  pid            INTEGER NOT NULL,
  process_start  INTEGER NOT NULL,
  boot_id        TEXT NOT NULL,
  interrupted_at INTEGER
);
CREATE INDEX runs_by_time ON runs (started_at);

CREATE TABLE run_buckets (
  run_id              TEXT NOT NULL,
  bucket              TEXT NOT NULL,
  total_objects       INTEGER NOT NULL,
  total_bytes         INTEGER NOT NULL,
  "references"        INTEGER NOT NULL,
  referenced_objects  INTEGER NOT NULL,
  referenced_bytes    INTEGER NOT NULL,
  protected_objects   INTEGER NOT NULL,
  protected_bytes     INTEGER NOT NULL,
  orphans_found       INTEGER NOT NULL,
  orphan_bytes        INTEGER NOT NULL,
  young_objects       INTEGER NOT NULL,
  in_grace_objects    INTEGER NOT NULL,
  in_grace_bytes      INTEGER NOT NULL,
  due_objects         INTEGER NOT NULL,
  due_bytes           INTEGER NOT NULL,
  orphans_deleted     INTEGER NOT NULL,
  bytes_deleted       INTEGER NOT NULL,
  deletion_failures   INTEGER NOT NULL,
  skipped_referenced  INTEGER NOT NULL,
  skipped_changed     INTEGER NOT NULL,
  already_gone        INTEGER NOT NULL,
  dangling_references INTEGER NOT NULL,
  near_misses         INTEGER NOT NULL,
  unmapped_references INTEGER NOT NULL,
  grace_ends          INTEGER,
  PRIMARY KEY (run_id, bucket)
) WITHOUT ROWID;
CREATE INDEX run_buckets_by_bucket ON run_buckets (bucket);

CREATE TABLE sweeps (
  id              INTEGER PRIMARY KEY,
  run_id          TEXT NOT NULL,
  bucket          TEXT NOT NULL,
  bucket_identity TEXT NOT NULL,
  UNIQUE (run_id, bucket)
);

CREATE TABLE journal (
  id            INTEGER PRIMARY KEY,
  sweep         INTEGER NOT NULL,
  key           BLOB NOT NULL,
  size_bytes    INTEGER NOT NULL,
  last_modified INTEGER,
  etag          TEXT NOT NULL,
  version_id    TEXT NOT NULL,
  intended_at   INTEGER,
  recorded_at   INTEGER,
  outcome       TEXT NOT NULL,
  error         TEXT NOT NULL
);
CREATE INDEX journal_by_key ON journal (sweep, key);
CREATE INDEX journal_in_doubt ON journal (sweep) WHERE outcome = 'in_doubt';

CREATE TABLE baselines (
  bucket          TEXT PRIMARY KEY,
  bucket_identity TEXT NOT NULL,
  recorded_at     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE baseline_sources (
  bucket            TEXT NOT NULL,
  place             INTEGER NOT NULL,
  name              TEXT NOT NULL,
  database          TEXT NOT NULL,
  relations         TEXT NOT NULL,
  database_position INTEGER NOT NULL,
  row_count         INTEGER NOT NULL,
  PRIMARY KEY (bucket, place)
) WITHOUT ROWID;

CREATE TABLE used_plans (
  digest  TEXT PRIMARY KEY,
  run_id  TEXT NOT NULL,
  used_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE clock_anchor (
  id        INTEGER PRIMARY KEY CHECK (id = 1),
  boot_id   TEXT NOT NULL,
  boot_time INTEGER NOT NULL,
  wall      INTEGER NOT NULL
);

-- For people with the sqlite3 shell.
CREATE VIEW deletions AS
  SELECT run_id, bucket, CAST(key AS TEXT) AS key, size_bytes, outcome, error,
         datetime(intended_at / 1000000000, 'unixepoch') AS intended, datetime(recorded_at / 1000000000, 'unixepoch') AS recorded
    FROM journal JOIN sweeps ON sweeps.id = journal.sweep;
)sql";

// A bucket's figures in a run: objects, bytes, orphans and what was deleted; the others are 0.
std::string figures(const char* run, int total, int orphans, int deleted) {
  return format("INSERT INTO run_buckets VALUES ('{}', 'raw', {}, {}, 0, 0, 0, 0, 0, {}, {}, 0, 0, 0, 0, 0, {}, {}, 0, 0, 0, 0, 0, 0, 0, NULL);", run,
                total, 10 * total, orphans, 10 * orphans, deleted, 10 * deleted);
}

class SchemaTest : public ::testing::Test {
 protected:
  sqlite::Database connect() {
    auto db = sqlite::Database::open(directory_.database(), sqlite::OpenMode::create, std::chrono::seconds(10));
    EXPECT_TRUE(db.has_value());
    return std::move(*db);
  }
  std::unique_ptr<StateDatabase> open() {
    auto opened = StateDatabase::open(directory_, clock_);
    EXPECT_TRUE(opened.has_value()) << opened.error().message;
    EXPECT_EQ(opened->warning, "");
    return std::move(opened->database);
  }
  std::string run(const char* id, const char* command, const char* status, Timestamp started) {
    return format("INSERT INTO runs VALUES ('{}', '{}', '{}', 0, {}, {}, 'why', 1, 2, 'boot', NULL);", id, command, status,
                  started.time_since_epoch().count(), (started + hours(1)).time_since_epoch().count());
  }
  // A database as version 1 left it after some days of work.
  void make_version_1() {
    sqlite::Database db = connect();
    const Timestamp day = clock_.now();
    const std::string rows = run("r1", "scan", "success", day - hours(48)) + figures("r1", 100, 40, 0) +
                             run("r2", "scan", "success", day - hours(47)) + figures("r2", 110, 41, 0) +
                             run("r3", "apply", "success", day - hours(46)) + figures("r3", 100, 40, 7) +
                             run("r4", "scan", "failed", day - hours(45)) + figures("r4", 3, 2, 0) +
                             run("r5", "stats", "success", day) + figures("r5", 90, 30, 0) +
                             "INSERT INTO sweeps VALUES (1, 'r3', 'raw', 'id');"
                             "INSERT INTO journal VALUES (1, 1, x'61', 17, NULL, 'etag', '', 5, 6, 'deleted', '');"
                             "INSERT INTO journal VALUES (2, 1, x'62ff', 18, 9, 'tag', 'v', 5, 6, 'in_doubt', 'hm');"
                             "INSERT INTO baselines VALUES ('raw', 'id', 77);"
                             "INSERT INTO baseline_sources VALUES ('raw', 0, 'app', 'db', 'files', 3, 1000);"
                             "INSERT INTO used_plans VALUES ('digest', 'r3', 8);"
                             "INSERT INTO clock_anchor VALUES (1, 'boot', 5, 6);"
                             "PRAGMA application_id = 1213027156; PRAGMA user_version = 1; PRAGMA journal_mode = WAL";
    ASSERT_TRUE(db.execute(kVersion1 + rows).has_value());
  }
  std::int64_t version() {
    sqlite::Database db = connect();
    return *integer_of(db, "PRAGMA user_version");
  }
  std::vector<std::string> tables() {
    sqlite::Database db = connect();
    auto rows = db.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name");
    std::vector<std::string> found;
    while (*rows->step()) found.emplace_back(rows->bytes(0));
    return found;
  }
  void expect_all_is_kept(StateDatabase& database) {
    std::vector<std::string> ids;
    const auto runs = database.runs(100);
    for (const RunReport& report : *runs) ids.push_back(report.run_id);
    EXPECT_THAT(ids, ElementsAre("r5", "r4", "r3", "r2", "r1"));
    const RunReport apply = **database.run("r3");
    EXPECT_EQ(apply.status, RunStatus::success);
    EXPECT_EQ(apply.error, "why");
    EXPECT_EQ(apply.trigger, "");
    EXPECT_EQ(apply.completed_at, apply.started_at + hours(1));
    EXPECT_EQ(apply.buckets.at("raw").orphans_deleted, 7U);
    EXPECT_THAT(apply.sweeps, IsEmpty());
    std::vector<Deletion> deletions;
    ASSERT_TRUE(database.deletions("r3", [&](const Deletion& deletion) -> Result<void> {
      deletions.push_back(deletion);
      return {};
    }).has_value());
    ASSERT_EQ(deletions.size(), 2U);
    EXPECT_EQ(deletions[0].outcome, Outcome::deleted);
    EXPECT_EQ(deletions[1].object, (ObjectMeta{ObjectKey("b\xff"), 18, Timestamp(std::chrono::nanoseconds(9)), "tag", "v"}));
    EXPECT_EQ(database.in_doubt("id")->size(), 1U);
    EXPECT_EQ((*database.baseline("raw"))->sources.at(0).rows, 1000U);
    EXPECT_EQ(*database.plan_user("digest"), "r3");
    EXPECT_EQ((*database.clock_anchor())->boot_id, "boot");
    EXPECT_EQ((*database.last_figures("raw"))->total_objects, 90U);
  }

  const TempDir temp_;
  FakeClock clock_;
  StateDirectory directory_{*StateDirectory::open(temp_.path() / "state")};
};

TEST_F(SchemaTest, a_version_1_database_keeps_everything_and_is_at_2) {
  make_version_1();
  expect_all_is_kept(*open());
  EXPECT_EQ(version(), 2);
  expect_all_is_kept(*open());
}

TEST_F(SchemaTest, days_of_version_1_are_taken_from_its_runs) {
  make_version_1();
  const auto days = open()->bucket_history("raw", Timestamp{});
  ASSERT_TRUE(days.has_value());
  ASSERT_EQ(days->size(), 2U);
  const auto today = std::chrono::floor<std::chrono::days>(clock_.now());
  EXPECT_EQ((*days)[0], (BucketDay{.day = today - std::chrono::days(2), .measured_at = clock_.now() - hours(47), .total_objects = 110,
                                   .total_bytes = 1100, .orphans_found = 41, .orphan_bytes = 410, .orphans_deleted = 7, .bytes_deleted = 70}));
  EXPECT_EQ((*days)[1], (BucketDay{.day = today, .measured_at = clock_.now(), .total_objects = 90, .total_bytes = 900, .orphans_found = 30,
                                   .orphan_bytes = 300}));
}

TEST_F(SchemaTest, a_fresh_database_has_the_same_tables_as_one_that_grew) {
  open();
  const auto fresh = tables();
  std::filesystem::remove(directory_.database());
  make_version_1();
  open();
  EXPECT_EQ(tables(), fresh);
}

// The program that is killed: this one again, since the crash point is read once per process.
TEST(SchemaCrashChild, DISABLED_opens_until_it_is_killed) {
  const FakeClock clock;
  (void)StateDatabase::open(*StateDirectory::open(std::getenv("HEIMDALL_TEST_STATE")), clock);
}

TEST_F(SchemaTest, killed_in_between_it_is_still_version_1) {
  make_version_1();
  const int status = in_child([&] {
    setenv("HEIMDALL_STORAGE_CRASH_AT", "state.schema.before_commit", 1);
    setenv("HEIMDALL_TEST_STATE", directory_.root().c_str(), 1);
    execl("/proc/self/exe", "state_tests", "--gtest_also_run_disabled_tests", "--gtest_filter=SchemaCrashChild.*", "--gtest_brief=1", nullptr);
    return 9;
  });
  ASSERT_TRUE(was_killed(status)) << status;
  EXPECT_EQ(version(), 1);
  expect_all_is_kept(*open());
  EXPECT_EQ(version(), 2);
}

// Past the guard of the state directory, which would let them in one after the other.
TEST_F(SchemaTest, processes_that_come_at_once_all_find_version_2) {
  make_version_1();
  int start[2];
  ASSERT_EQ(pipe(start), 0);
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      char byte = 0;
      if (read(start[0], &byte, 1) != 1) _exit(1);
      auto db = sqlite::Database::open(directory_.database(), sqlite::OpenMode::create, std::chrono::seconds(10));
      if (!db || !prepare_schema(*db)) _exit(2);
      _exit(*integer_of(*db, "SELECT count(*) FROM bucket_days") == 2 ? 0 : 3);
    }
    children.push_back(child);
  }
  ASSERT_EQ(write(start[1], "1234", 4), 4);
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(ended_with(status, 0)) << status / 256;
  }
  expect_all_is_kept(*open());
}

TEST_F(SchemaTest, a_program_of_version_1_that_is_running_can_go_on) {
  make_version_1();
  sqlite::Database old = connect();
  ASSERT_TRUE(integer_of(old, "SELECT count(*) FROM runs").has_value());
  auto database = open();
  ASSERT_TRUE(old.execute("INSERT INTO runs (run_id, command, status, dry_run, started_at, completed_at, error, pid, process_start, boot_id) "
                          "VALUES ('r6', 'scan', 'success', 0, 1, 2, '', 1, 2, 'boot')")
                  .has_value());
  EXPECT_EQ((*database->run("r6"))->trigger, "");
}

TEST_F(SchemaTest, a_damaged_version_1_database_is_set_aside_under_a_new_name) {
  make_version_1();
  { sqlite::Database db = connect(); }  // its log is in the file now
  std::string bytes = testing::content_of(directory_.database());
  bytes.resize(bytes.size() / 2);
  testing::write_file(directory_.database(), bytes);
  const auto opened = StateDatabase::open(directory_, clock_);
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  EXPECT_THAT(opened->warning, ::testing::HasSubstr("was set aside as '" + directory_.database().string() + ".damaged-2026-11-23T00:14:16Z'"));
  EXPECT_TRUE(opened->database->runs(10)->empty());
  EXPECT_EQ(version(), 2);
}

}  // namespace
}  // namespace heimdall
