// Kills a real process at each crash point and passage: a directory, an SQLite database and the state directory, swept and recovered.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include "io/sqlite.h"
#include "pipeline/test_world.h"
#include "refs/sqlite_source.h"
#include "state/state_database.h"
#include "store/fs/directory_store.h"

namespace heimdall::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr int kOrphans = 8;
const std::set<std::string> kForbidden = {"kept/0", "kept/1", "orphan/2", "orphan/4"};  // 2 is referenced again, 4 rewritten

template <class T>
T must(Result<T> result, const char* what) {
  if (!result) {
    std::cerr << what << ": " << result.error().message << '\n';
    _exit(3);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// Everything a process opens when it starts.
class Process {
 public:
  explicit Process(const TempDir& directory, unsigned workers = 1)
      : state(must(StateDirectory::open(directory / "state"), "state")),
        opened(must(StateDatabase::open(state, clock), "database")),
        store(must(open_directory_store({directory / "tree", AgeFrom::mtime}, clock), "store")),
        source(files_of(directory / "app.db"), clock) {
    policy.name = "tree";
    policy.mode = Mode::remove;
    policy.min_age = 1h;
    policy.grace = 0h;
    policy.guards.max_orphan_ratio = 1.0;
    policy.batch_size = 3;
    policy.delete_workers = workers;
    policy.digest = "policy-1";
    SourcePolicy rows;
    rows.name = "app: files";
    rows.mapping.as = KeyForm::key;
    rows.mapping.bucket = "tree";
    policy.sources.push_back(rows);
    binding = {&source, &policy.sources[0]};
  }

  RunContext context(const std::string& id) { return {id, "apply", *opened.database, clock, progress, {}, {}}; }

  // Plan and apply; `between` happens between the two.
  template <class Between>
  int sweep(const std::string& id, const fs::path& plan_path, Between between) {
    const ScanTarget scanned{*store, policy, std::span(&binding, 1), state.ledger("tree"), state.scratch_file("scan")};
    ScanRequest request;
    request.plan_path = plan_path;
    RunContext planning = context(id + "-plan");
    const RunOutcome planned = run_scan(std::span(&scanned, 1), request, planning);
    if (!planned.plan) return fail(planned.report.error);
    Limits limits;
    limits.now = clock.now();
    limits.policies = std::span(&policy, 1);
    const ApprovedPlan approved = must(approve(*planned.plan, limits), "approve");
    between();
    const ApplyTarget target{*store, policy, std::span(&binding, 1), state.scratch_file("apply")};
    RunContext applying = context(id);
    const RunOutcome applied = run_apply(approved, std::span(&target, 1), *opened.database, applying);
    return applied.report.status == RunStatus::success ? 0 : fail(applied.report.error);
  }

  int recover_all() {
    must(opened.database->mark_interrupted_runs(), "mark");
    const RecoverReport report = must(recover(*store, *opened.database, *opened.database, clock, {}), "recover");
    return report.still_in_doubt == 0 ? 0 : fail("still in doubt");
  }

  static SqliteSourceOptions files_of(const fs::path& path) {
    SqliteSourceOptions options;
    options.path = path;
    options.query = "SELECT path FROM files";
    return options;
  }
  static int fail(const std::string& why) {
    std::cerr << why << '\n';
    return 2;
  }

  SystemClock clock;
  StateDirectory state;
  StateDatabase::Opened opened;
  std::unique_ptr<ObjectStore> store;
  SqliteSource source;
  BucketPolicy policy;
  SourceBinding binding;
  NoProgress progress;
};

class CrashTest : public ::testing::Test {
 protected:
  CrashTest() {
    for (int i = 0; i < 2; ++i) write_old("kept/" + std::to_string(i), "kept");
    for (int i = 0; i < kOrphans; ++i) write_old("orphan/" + std::to_string(i), "orphan");
    auto db = sqlite::Database::open(directory_ / "app.db", sqlite::OpenMode::create, 1s);
    EXPECT_TRUE(db.has_value());
    EXPECT_TRUE(db->execute("CREATE TABLE files (path TEXT PRIMARY KEY); INSERT INTO files VALUES ('kept/0'), ('kept/1')").has_value());
  }

  void write_old(const std::string& key, const std::string& content) {
    const fs::path path = directory_ / "tree" / key;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content;
    timespec times[2] = {};
    times[0].tv_sec = times[1].tv_sec = time(nullptr) - 48 * 3600;
    utimensat(AT_FDCWD, path.c_str(), times, 0);
  }

  // What happens between plan and sweep. Runs in the process that is killed.
  void change() {
    auto db = must(sqlite::Database::open(directory_ / "app.db", sqlite::OpenMode::create, 1s), "app.db");
    must(db.execute("INSERT OR IGNORE INTO files VALUES ('orphan/2')"), "insert");
    write_old("orphan/4", "another");
  }

  // In a process of its own, since the crash point is read once per process. This one never passes a crash point.
  template <class Body>
  static int in_process(const std::string& crash_at, Body body) {
    const pid_t child = fork();
    if (child == 0) {
      if (!crash_at.empty()) setenv("HEIMDALL_STORAGE_CRASH_AT", crash_at.c_str(), 1);
      _exit(body());
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
  }
  static bool killed(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; }
  static bool well(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }

  bool exists(const std::string& key) const { return fs::exists(directory_ / "tree" / key); }

  // The journal of one run, by key.
  std::map<std::string, Outcome> journal_of(const std::string& run_id) {
    Process process(directory_);
    std::map<std::string, Outcome> outcomes;
    EXPECT_TRUE(process.opened.database->deletions(run_id, [&](const Deletion& deletion) -> Result<void> {
      EXPECT_FALSE(outcomes.contains(deletion.object.key.bytes())) << "twice in one run";
      outcomes[deletion.object.key.bytes()] = deletion.outcome;
      return {};
    }).has_value());
    return outcomes;
  }

  void check_forbidden_are_here() const {
    for (const std::string& key : kForbidden) EXPECT_TRUE(exists(key)) << key;
  }

  // Invariant 6, after recover: journal and tree say the same of each key.
  void check_journal_against_tree() {
    const auto journal = journal_of("first");
    EXPECT_FALSE(fs::exists(directory_ / "tree" / ".heimdall-trash")) << "something was left in the trash";
    std::uint64_t deleted = 0;
    for (int i = 0; i < kOrphans; ++i) {
      const std::string key = "orphan/" + std::to_string(i);
      const auto at = journal.find(key);
      if (at == journal.end()) {
        EXPECT_TRUE(exists(key)) << key << " is gone without a trace";
        continue;
      }
      EXPECT_NE(at->second, Outcome::in_doubt) << key;
      EXPECT_EQ(at->second == Outcome::deleted, !exists(key)) << key << " is " << to_string(at->second);
      deleted += at->second == Outcome::deleted ? 1 : 0;
    }
    Process process(directory_);
    const auto report = must(process.opened.database->run("first"), "run");
    ASSERT_TRUE(report.has_value());
    EXPECT_NE(report->status, RunStatus::running);
    EXPECT_NE(report->status, RunStatus::success);
    if (report->status == RunStatus::partial) {
      EXPECT_EQ(report->buckets.at("tree").orphans_deleted, deleted);
    }
  }

  TempDir directory_;
};

class CrashPoints : public CrashTest, public ::testing::WithParamInterface<std::tuple<const char*, int, unsigned>> {};

TEST_P(CrashPoints, lose_no_knowledge) {
  const auto [point, passage, at_once] = GetParam();
  const unsigned workers = at_once;  // a structured binding cannot be captured
  const std::string crash_at = std::string(point) + ":" + std::to_string(passage);
  const int first = in_process(crash_at, [&] {
    return Process(directory_, workers).sweep("first", directory_ / "plan-1", [&] { change(); });
  });
  if (!killed(first)) {
    EXPECT_GT(passage, 1) << "the point was never passed: " << first;
    return;
  }
  check_forbidden_are_here();
  ASSERT_TRUE(well(in_process("", [&] { return Process(directory_).recover_all(); })));
  check_forbidden_are_here();
  check_journal_against_tree();
  // A following clean run finishes the job; what was rewritten is as old as the rest, and nobody names it.
  ASSERT_TRUE(well(in_process("", [&] { return Process(directory_).sweep("second", directory_ / "plan-2", [] {}); })));
  for (int i = 0; i < kOrphans; ++i) {
    const std::string key = "orphan/" + std::to_string(i);
    EXPECT_EQ(exists(key), key == "orphan/2") << key;
  }
  EXPECT_TRUE(exists("kept/0") && exists("kept/1"));
}

INSTANTIATE_TEST_SUITE_P(Each, CrashPoints,
                         ::testing::Combine(::testing::Values("journal.intend.before_commit", "journal.intend.committed",
                                                              "journal.record.before_commit", "journal.record.committed",
                                                              "sweep.batch.begin", "sweep.intended", "sweep.removed",
                                                              "sweep.recorded", "store.fs.renamed", "store.fs.unlinked"),
                                            ::testing::Values(1, 2, 3, 5), ::testing::Values(1U, 3U)));

// Recover may be killed, too; the next one goes on.
class CrashInRecover : public CrashTest, public ::testing::WithParamInterface<std::tuple<const char*, const char*>> {};

TEST_P(CrashInRecover, lose_no_knowledge) {
  const auto [first_point, second_point] = GetParam();
  ASSERT_TRUE(killed(in_process(first_point, [&] {
    return Process(directory_).sweep("first", directory_ / "plan-1", [&] { change(); });
  })));
  ASSERT_TRUE(killed(in_process(second_point, [&] { return Process(directory_).recover_all(); })));
  ASSERT_TRUE(well(in_process("", [&] { return Process(directory_).recover_all(); })));
  check_forbidden_are_here();
  check_journal_against_tree();
}

INSTANTIATE_TEST_SUITE_P(Each, CrashInRecover,
                         ::testing::Combine(::testing::Values("store.fs.renamed:2", "store.fs.unlinked:2", "sweep.removed:2"),
                                            ::testing::Values("journal.record.before_commit", "journal.record.committed")));

}  // namespace
}  // namespace heimdall::testing
