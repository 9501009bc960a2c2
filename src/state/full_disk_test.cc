#include <gmock/gmock.h>
#include <sys/resource.h>

#include "base/format.h"
#include "state/history_tables.h"
#include "state/journal_table.h"
#include "state/pruning.h"
#include "state/schema.h"
#include "state/test_support.h"

// A full disk, twice: as SQLite tells it (a limit on the pages of the file) and as the kernel does (a limit on the size of files). Every write fails as
// `internal`, nothing of it is kept, and all goes on once there is space.

namespace heimdall {
namespace {

using std::chrono::days;
using testing::all_with;
using testing::ended_with;
using testing::FakeClock;
using testing::in_child;
using testing::some_objects;
using testing::TempDir;
using ::testing::HasSubstr;

RunReport large_run(const Clock& clock, const std::string& id) {
  RunReport report;
  report.run_id = id;
  report.command = "cleanup";
  report.status = RunStatus::success;
  report.started_at = clock.now();
  for (int i = 0; i < 200; ++i) {
    const std::string bucket = format("bucket-{:050}", i);
    report.buckets[bucket].total_objects = 1;
    report.scanned.insert(bucket);
    report.sweeps[bucket].workers = 1;
  }
  return report;
}

Baseline large_baseline() {
  Baseline baseline{"id", {}, {}};
  for (int i = 0; i < 200; ++i) baseline.sources.push_back({format("source-{:0100}", i), {"database", std::string(100, 'r'), 1}, 1});
  return baseline;
}

TEST(FullDisk, every_write_is_internal_and_says_why_and_works_again_with_space) {
  const TempDir temp;
  const FakeClock clock;
  const auto directory = StateDirectory::open(temp.path());
  auto opened = open_database(*directory, clock);
  ASSERT_TRUE(opened.has_value());
  sqlite::Database& db = opened->db;
  HistoryTables history(db, clock);
  JournalTable journal(db, clock);
  const std::string long_name(20'000, 'n');  // needs pages of its own
  const auto objects = some_objects(2000);
  const JournalTable::Intents batch{"run", "raw", "id", objects};
  const std::vector<std::pair<const char*, std::function<Result<void>()>>> writes = {
      {"save_run", [&] { return history.save_run(large_run(clock, "r1")); }},
      {"save_baseline", [&] { return history.save_baseline("raw", large_baseline()); }},
      {"use_plan", [&] { return history.use_plan(long_name, "r1"); }},
      {"save_clock_anchor", [&] { return history.save_clock_anchor({long_name, {}, {}}); }},
      {"save_schedule_mark", [&] { return history.save_schedule_mark(long_name, clock.now()); }},
      {"intend", [&] { return journal.intend(std::span(&batch, 1)); }},
      {"record", [&]() -> Result<void> {
         TRY(journal.record("run", all_with(objects, Outcome::deleted)));
         TRY(journal.record("run", all_with(some_objects(5000, "skipped-"), Outcome::skipped_changed)));
         return journal.flush();
       }},
  };
  for (const auto& [name, write] : writes) {
    const std::int64_t pages = *integer_of(db, "PRAGMA page_count");
    ASSERT_TRUE(integer_of(db, format("PRAGMA max_page_count = {}", pages)).has_value());
    const auto failed = write();
    ASSERT_FALSE(failed.has_value()) << name;
    EXPECT_EQ(failed.error().code, ErrorCode::internal) << name;
    EXPECT_THAT(failed.error().message, HasSubstr("full")) << name;
    EXPECT_THAT(failed.error().hint, HasSubstr("free some space")) << name;
    ASSERT_TRUE(integer_of(db, "PRAGMA max_page_count = 1000000").has_value());
    const auto written = write();
    EXPECT_TRUE(written.has_value()) << name << ": " << written.error().message;
  }
  EXPECT_EQ((*history.run("r1"))->buckets.size(), 200U);
  EXPECT_EQ(history.bucket_history("bucket-" + std::string(50, '0'), {})->size(), 1U);
  EXPECT_EQ((*history.baseline("raw"))->sources.size(), 200U);
  EXPECT_TRUE(journal.in_doubt("")->empty());
  auto sound = db.prepare("PRAGMA integrity_check");
  ASSERT_TRUE(*sound->step());
  EXPECT_EQ(sound->bytes(0), "ok");
}

TEST(FullDisk, no_call_succeeds_while_no_file_may_grow_and_all_do_afterwards) {
  const TempDir temp;
  const int status = in_child([&] {
    signal(SIGXFSZ, SIG_IGN);
    const FakeClock clock;
    auto opened = StateDatabase::open(*StateDirectory::open(temp.path()), clock);
    if (!opened) return 1;
    StateDatabase& database = *opened->database;
    RunReport old = large_run(clock, "old");
    old.started_at -= days(200);
    old.scanned.clear();
    for (auto& [bucket, figures] : old.buckets) figures.total_objects = 0;
    old.status = RunStatus::failed;
    RunReport newest;
    newest.run_id = "newest";
    newest.started_at = clock.now() - days(100);
    if (!database.save_run(old) || !database.save_run(newest)) return 2;
    const std::vector<std::function<Result<void>()>> writes = {
        [&] { return database.save_run(large_run(clock, "r1")); },
        [&] { return database.save_baseline("raw", large_baseline()); },
        [&] { return database.use_plan("digest", "r1"); },
        [&] { return database.save_clock_anchor({"boot", {}, {}}); },
        [&] { return database.save_schedule_mark("nightly", clock.now()); },
        [&] { return database.intend("r1", "raw", "id", some_objects(1000)); },
        [&]() -> Result<void> {
          TRY_ASSIGN(const Pruned pruned, database.prune(clock.now(), days(90)));
          if (pruned.runs != 1) return Error{ErrorCode::invalid_argument, format("{} runs", pruned.runs)};
          return {};
        },
    };
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    const rlimit none{1, RLIM_INFINITY};
    int place = 10;
    for (const auto& write : writes) {
      if (setrlimit(RLIMIT_FSIZE, &none) != 0) return 3;
      const auto failed = write();
      if (setrlimit(RLIMIT_FSIZE, &unlimited) != 0) return 4;
      if (failed || failed.error().code != ErrorCode::internal || failed.error().hint.empty()) return place;
      if (failed.error().message.find("state.db") == std::string::npos) return place + 1;
      if (!write()) return place + 2;
      place += 10;
    }
    return 0;
  });
  EXPECT_TRUE(ended_with(status, 0)) << status / 256;
}

}  // namespace
}  // namespace heimdall
