#include "state/state_database.h"

#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <thread>

#include "state/test_support.h"

// What journal and history promise in general is in tests/contract/journal_contract.cc; here is what only files can do wrong.

namespace heimdall {
namespace {

using testing::all_with;
using testing::ended_with;
using testing::FakeClock;
using testing::in_child;
using testing::some_object;
using testing::some_objects;
using testing::TempDir;
using testing::was_killed;
using ::testing::HasSubstr;

class StateDatabaseTest : public ::testing::Test {
 protected:
  // In the children of these tests nothing may be left open by the parent.
  std::unique_ptr<StateDatabase> open() {
    auto opened = StateDatabase::open(*StateDirectory::open(temp_.path()), clock_);
    EXPECT_TRUE(opened.has_value()) << opened.error().message;
    EXPECT_EQ(opened->warning, "");
    return std::move(opened->database);
  }
  RunReport running(std::string id) {
    RunReport report;
    report.run_id = std::move(id);
    report.command = "apply";
    report.started_at = clock_.now();
    return report;
  }

  const TempDir temp_;
  FakeClock clock_;
};

struct CrashCase {
  const char* point;
  // What the next process finds of the first batch (recorded as deleted), the second (intended) and the third (recorded only).
  std::vector<std::string> first, second, third;
};

class JournalCrash : public StateDatabaseTest, public ::testing::WithParamInterface<CrashCase> {};

// The program that is killed: this one again, since the crash point is read once per process. Returns where it got to.
TEST(JournalCrashChild, DISABLED_writes_until_it_is_killed) {
  const FakeClock clock;
  auto opened = StateDatabase::open(*StateDirectory::open(std::getenv("HEIMDALL_TEST_STATE")), clock);
  StateDatabase* const database = opened->database.get();
  const auto first = some_objects(1000, "a-"), second = some_objects(1000, "b-"), third = some_objects(1000, "c-");
  ASSERT_TRUE(database->intend("run", "raw", "id", first).has_value());
  ASSERT_TRUE(database->record("run", all_with(first, Outcome::deleted)).has_value());
  ASSERT_TRUE(database->intend("run", "raw", "id", second).has_value());
  ASSERT_TRUE(database->record("run", all_with(second, Outcome::deleted)).has_value());
  ASSERT_TRUE(database->record("run", all_with(third, Outcome::skipped_referenced)).has_value());
  ASSERT_TRUE(database->flush().has_value());
}

// Invariant 6: after a kill at any point each key was never intended, is in doubt, or has its outcome.
TEST_P(JournalCrash, leaves_each_key_known) {
  const int status = in_child([&] {
    setenv("HEIMDALL_STORAGE_CRASH_AT", GetParam().point, 1);
    setenv("HEIMDALL_TEST_STATE", temp_.path().c_str(), 1);
    execl("/proc/self/exe", "state_tests", "--gtest_also_run_disabled_tests", "--gtest_filter=JournalCrashChild.*", "--gtest_brief=1",
          nullptr);
    return 9;
  });
  ASSERT_TRUE(was_killed(status)) << status;
  std::map<char, std::vector<std::string>> found = {{'a', {}}, {'b', {}}, {'c', {}}};
  std::size_t rows = 0;
  auto database = open();
  const auto visited = database->deletions("run", [&](const Deletion& deletion) -> Result<void> {
    auto& outcomes = found[deletion.object.key.bytes()[0]];
    const std::string outcome(to_string(deletion.outcome));
    if (std::find(outcomes.begin(), outcomes.end(), outcome) == outcomes.end()) outcomes.push_back(outcome);
    ++rows;
    return {};
  });
  ASSERT_TRUE(visited.has_value());
  EXPECT_EQ(found['a'], GetParam().first);
  EXPECT_EQ(found['b'], GetParam().second);
  EXPECT_EQ(found['c'], GetParam().third);
  EXPECT_EQ(rows, 1000 * (found['a'].size() + found['b'].size() + found['c'].size()));
}

using Names = std::vector<std::string>;
INSTANTIATE_TEST_SUITE_P(
    Points, JournalCrash,
    ::testing::Values(CrashCase{"journal.intend.before_commit", {}, {}, {}},
                      CrashCase{"journal.intend.committed", {"in_doubt"}, {}, {}},
                      CrashCase{"journal.intend.before_commit:2", {"in_doubt"}, {}, {}},
                      CrashCase{"journal.intend.committed:2", {"deleted"}, {"in_doubt"}, {}},
                      CrashCase{"journal.record.before_commit", {"deleted"}, {"in_doubt"}, {}},
                      CrashCase{"journal.record.committed", {"deleted"}, {"deleted"}, {"skipped_referenced"}}),
    [](const auto& tested) {
      std::string name = tested.param.point;
      std::replace_if(name.begin(), name.end(), [](char c) { return c == '.' || c == ':'; }, '_');
      return name;
    });

TEST_F(StateDatabaseTest, run_of_a_dead_process_becomes_interrupted_and_bounds_when_its_requests_left) {
  const int status = in_child([&] {
    auto database = open();
    if (!database->save_run(running("dead")) || !database->intend("dead", "raw", "id", {{some_object("a")}})) return 1;
    raise(SIGKILL);
    return 2;
  });
  ASSERT_TRUE(was_killed(status));
  auto database = open();
  RunReport mine = running("mine");
  ASSERT_TRUE(database->save_run(mine).has_value());
  clock_.advance(std::chrono::hours(1));
  // While nobody knows that it ended, the request may be leaving right now.
  EXPECT_EQ((*database->in_doubt("id"))[0].sent_at, clock_.now());
  ASSERT_TRUE(database->mark_interrupted_runs().has_value());
  const Timestamp noticed = clock_.now();
  clock_.advance(std::chrono::hours(1));
  ASSERT_TRUE(database->mark_interrupted_runs().has_value());
  EXPECT_EQ((*database->in_doubt("id"))[0].sent_at, noticed);
  EXPECT_EQ((*database->run("mine"))->status, RunStatus::running);
  RunReport dead = **database->run("dead");
  EXPECT_EQ(dead.status, RunStatus::interrupted);
  EXPECT_THAT(dead.error, HasSubstr("killed"));
  // What recover makes of it does not make its requests older.
  dead.status = RunStatus::partial;
  dead.completed_at = clock_.now() + std::chrono::hours(5);
  ASSERT_TRUE(database->save_run(dead).has_value());
  EXPECT_EQ((*database->in_doubt("id"))[0].sent_at, noticed);
}

// Runs `body` as process 1 of a PID namespace with a /proc of its own, as a container does. 99: we may not make one.
template <class Body>
int in_container(Body body) {
  return in_child([&] {
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 99;
    const int status = in_child([&] {
      if (mount("proc", "/proc", "proc", 0, nullptr) != 0) return 99;
      return body();
    });
    return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
  });
}

// Invariant 9: nobody meddles with a run that is under way; here its process is one that our /proc does not show.
TEST_F(StateDatabaseTest, run_of_another_container_goes_on_until_its_process_ends) {
  int ready[2], go_on[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(go_on), 0);
  const pid_t other = fork();
  if (other == 0) {
    close(ready[0]);
    close(go_on[1]);
    const int status = in_container([&] {
      const auto directory = StateDirectory::open(temp_.path());
      auto database = open();
      const auto scratch = directory->scratch_file("snapshot");
      testing::write_file(scratch, "x");
      if (getpid() != 1 || !database->save_run(running("there"))) return 1;
      char byte = 0;
      if (write(ready[1], "x", 1) != 1 || read(go_on[0], &byte, 1) != 1) return 2;
      if (!std::filesystem::exists(scratch)) return 3;
      _exit(0);  // as killed: nothing is put in order
    });
    _exit(WEXITSTATUS(status));
  }
  close(ready[1]);
  close(go_on[0]);
  if (char byte = 0; read(ready[0], &byte, 1) == 1) {
    auto database = open();
    EXPECT_TRUE(database->mark_interrupted_runs().has_value());
    EXPECT_EQ((*database->run("there"))->status, RunStatus::running);
    database.reset();
    const int status = in_container([&] {  // a second one, with a process 1 of its own
      auto second = open();
      if (!second->mark_interrupted_runs()) return 1;
      return (*second->run("there"))->status == RunStatus::running ? 0 : 2;
    });
    EXPECT_TRUE(ended_with(status, 0)) << status / 256;
    EXPECT_EQ(write(go_on[1], "x", 1), 1);
  }
  close(ready[0]);
  close(go_on[1]);
  int status = 0;
  waitpid(other, &status, 0);
  if (ended_with(status, 99)) GTEST_SKIP() << "we may not make a PID namespace";
  ASSERT_TRUE(ended_with(status, 0)) << status / 256;
  auto database = open();
  ASSERT_TRUE(database->mark_interrupted_runs().has_value());
  EXPECT_EQ((*database->run("there"))->status, RunStatus::interrupted);
}

TEST_F(StateDatabaseTest, two_processes_write_side_by_side) {
  open();  // makes the file
  constexpr int kBatches = 40;
  const auto write = [&](const std::string& run) {
    auto database = open();
    for (int i = 0; i < kBatches; ++i) {
      const auto batch = some_objects(20, std::to_string(i) + "-");
      if (!database->intend(run, run, "id-" + run, batch)) return 1;
      std::vector<Deletion> done;
      for (const ObjectMeta& object : batch) done.push_back({run, object, Outcome::deleted, ""});
      if (!database->record(run, done)) return 2;
    }
    return 0;  // the destructor flushes
  };
  const pid_t child = fork();
  if (child == 0) _exit(write("theirs"));
  EXPECT_EQ(write("ours"), 0);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(ended_with(status, 0));
  auto database = open();
  EXPECT_TRUE(database->in_doubt("")->empty());
  for (const char* run : {"ours", "theirs"}) {
    int rows = 0;
    const auto visited = database->deletions(run, [&](const Deletion&) -> Result<void> {
      ++rows;
      return {};
    });
    ASSERT_TRUE(visited.has_value());
    EXPECT_EQ(rows, kBatches * 20);
  }
}

TEST_F(StateDatabaseTest, threads_share_one_connection) {
  auto database = open();
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&database, t] {
      for (int i = 0; i < 10; ++i) {
        const auto batch = some_objects(10, std::to_string(t) + "-" + std::to_string(i) + "-");
        EXPECT_TRUE(database->intend("run", "raw", "id", batch).has_value());
        EXPECT_TRUE(database->record("run", all_with(batch, Outcome::deleted)).has_value());
        EXPECT_TRUE(database->runs(1).has_value());
      }
    });
  }
  threads.clear();
  EXPECT_TRUE(database->in_doubt("")->empty());
}

// Disk full, by a limit on the size of files: the call fails, the journal holds nothing of it and is no damaged file.
TEST_F(StateDatabaseTest, full_disk_fails_the_intent_and_is_not_taken_for_damage) {
  open();
  constexpr rlim_t kLimit = 300'000;
  const int status = in_child([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{kLimit, RLIM_INFINITY};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    auto database = open();
    if (!database->intend("run", "raw", "id", some_objects(100, "fits-"))) return 2;
    const auto failed = database->intend("run", "raw", "id", some_objects(20000, "too-much-"));
    if (failed || failed.error().code != ErrorCode::internal) return 3;
    if (failed.error().message.find("nothing more will be deleted") == std::string::npos) return 4;
    // Outcomes that do not fit are no success either, but stay pending.
    if (!database->record("run", all_with(some_objects(10000, "skipped-"), Outcome::skipped_changed))) return 5;
    if (database->flush()) return 6;
    auto again = StateDatabase::open(*StateDirectory::open(temp_.path()), clock_);
    if (again && !again->warning.empty()) return 7;
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_FSIZE, &unlimited) != 0) return 8;
    if (!database->flush()) return 9;
    return 0;
  });
  ASSERT_TRUE(ended_with(status, 0)) << status / 256;
  auto database = open();
  EXPECT_EQ(database->in_doubt("")->size(), 100U);
  std::size_t rows = 0;
  ASSERT_TRUE(database->deletions("run", [&](const Deletion&) -> Result<void> {
    ++rows;
    return {};
  }).has_value());
  EXPECT_EQ(rows, 10100U);
}

TEST_F(StateDatabaseTest, record_flushes_by_itself_before_memory_grows) {
  const auto many = some_objects(50000);
  const int status = in_child([&] {
    auto database = open();
    for (std::size_t i = 0; i < many.size(); i += 1000) {
      const std::vector<ObjectMeta> some(many.begin() + static_cast<std::ptrdiff_t>(i),
                                         many.begin() + static_cast<std::ptrdiff_t>(i) + 1000);
      if (!database->record("run", all_with(some, Outcome::skipped_referenced))) return 1;
    }
    raise(SIGKILL);
    return 2;
  });
  ASSERT_TRUE(was_killed(status));
  std::size_t rows = 0;
  ASSERT_TRUE(open()->deletions("run", [&](const Deletion&) -> Result<void> {
    ++rows;
    return {};
  }).has_value());
  EXPECT_EQ(rows, 40000U);
}

}  // namespace
}  // namespace heimdall
