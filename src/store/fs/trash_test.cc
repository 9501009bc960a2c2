#include "store/fs/trash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <functional>

#include "io/sha256.h"
#include "store/fs/test_tree.h"
#include "testing/fake_store.h"

namespace heimdall {
namespace {

namespace fs = std::filesystem;
using testing::keys_of;
using testing::OpenGate;
using testing::TestTree;
using Kind = RemoveOutcome::Kind;

// remove() asks its gate twice for each file: before the move into the trash, and before the unlink.
class ScriptedGate final : public SendGate {
 public:
  ScriptedGate(std::function<bool()> before_move, std::function<bool()> before_unlink)
      : steps_{std::move(before_move), std::move(before_unlink)} {}
  bool is_open() const override { return steps_[asked_++](); }

 private:
  std::function<bool()> steps_[2];
  mutable std::size_t asked_ = 0;
};

bool open_gate() { return true; }

std::string trash_entry(std::string_view key) { return ".heimdall-trash/" + sha256_hex(key); }

RemoveOutcome remove_one(ObjectStore& store, const ObjectMeta& object, const SendGate& gate) {
  return store.remove(std::vector{object}, gate).value().at(0);
}

// Invariant 5: what is written between the comparison and the move is seen in the trash, and comes back.
TEST(Trash, a_file_replaced_at_the_last_moment_is_put_back) {
  TestTree tree;
  tree.write("d/a", "before");
  const auto store = tree.store();
  const ObjectMeta planned = store->head(ObjectKey("d/a")).value();
  const ScriptedGate gate(
      [&] {
        tree.write("d/a", "after!");
        return true;
      },
      open_gate);
  EXPECT_EQ(remove_one(*store, planned, gate).kind, Kind::changed);
  EXPECT_EQ(tree.read("d/a"), "after!");
  EXPECT_FALSE(tree.has(".heimdall-trash"));
}

TEST(Trash, a_link_or_directory_moved_by_mistake_is_put_back) {
  for (const bool link : {true, false}) {
    TestTree tree;
    tree.write("a");
    const auto store = tree.store();
    const ObjectMeta planned = store->head(ObjectKey("a")).value();
    const ScriptedGate gate(
        [&] {
          fs::remove(tree.root() / "a");
          if (link) {
            fs::create_symlink("/", tree.root() / "a");
          } else {
            tree.write("a/file");
          }
          return true;
        },
        open_gate);
    EXPECT_EQ(remove_one(*store, planned, gate).kind, Kind::changed);
    EXPECT_TRUE(tree.has(link ? "a" : "a/file"));
    EXPECT_FALSE(tree.has(".heimdall-trash"));
  }
}

// Invariant 12: also between the move and the unlink.
TEST(Trash, a_gate_that_closes_halfway_puts_the_file_back) {
  TestTree tree;
  tree.write("a", "content");
  const auto store = tree.store();
  const ObjectMeta planned = store->head(ObjectKey("a")).value();
  EXPECT_EQ(remove_one(*store, planned, ScriptedGate(open_gate, [] { return false; })).kind, Kind::not_sent);
  EXPECT_EQ(tree.read("a"), "content");
  EXPECT_FALSE(tree.has(".heimdall-trash"));
}

TEST(Trash, a_file_that_vanishes_before_the_move_is_no_deletion_of_ours) {
  TestTree tree;
  tree.write("a");
  const auto store = tree.store();
  const ObjectMeta planned = store->head(ObjectKey("a")).value();
  const ScriptedGate gate([&] { return fs::remove(tree.root() / "a"); }, open_gate);
  EXPECT_EQ(remove_one(*store, planned, gate).kind, Kind::already_gone);
}

// A newer file at the key stays; what was planned is finished by settle().
TEST(Trash, a_key_taken_again_keeps_the_newer_file) {
  TestTree tree;
  tree.write("a", "old");
  const auto store = tree.store();
  const ObjectMeta planned = store->head(ObjectKey("a")).value();
  const ScriptedGate gate(open_gate, [&] {
    tree.write("a", "newer");
    return false;
  });
  EXPECT_EQ(remove_one(*store, planned, gate).kind, Kind::in_doubt);
  EXPECT_EQ(store->settle(planned).kind, Kind::deleted);
  EXPECT_EQ(tree.read("a"), "newer");
  EXPECT_FALSE(tree.has(".heimdall-trash"));
}

// Nothing that was not planned is ever unlinked, not even out of the trash.
TEST(Trash, a_foreign_file_in_the_trash_is_left_and_named) {
  TestTree tree;
  tree.write("a", "planned");
  const auto store = tree.store();
  const ObjectMeta planned = store->head(ObjectKey("a")).value();
  tree.write("a", "newer");
  tree.write(trash_entry("a"), "foreign");
  const RemoveOutcome settled = store->settle(planned);
  EXPECT_EQ(settled.kind, Kind::failed);
  EXPECT_THAT(settled.message, ::testing::HasSubstr(trash_entry("a")));
  EXPECT_EQ(tree.read("a"), "newer");
  EXPECT_EQ(tree.read(trash_entry("a")), "foreign");
  // It is in the way of the next deletion, which says so.
  const RemoveOutcome removed = remove_one(*store, store->head(ObjectKey("a")).value(), OpenGate());
  EXPECT_EQ(removed.kind, Kind::failed);
  EXPECT_THAT(removed.message, ::testing::HasSubstr(trash_entry("a")));
  EXPECT_EQ(tree.read("a"), "newer");
}

TEST(Trash, what_cannot_be_put_back_for_want_of_its_directory_is_named) {
  TestTree tree;
  tree.write("d/a");
  const auto store = tree.store();
  const ObjectMeta planned = store->head(ObjectKey("d/a")).value();
  fs::create_directory(tree.root() / ".heimdall-trash");
  fs::rename(tree.root() / "d/a", tree.root() / trash_entry("d/a"));
  fs::remove(tree.root() / "d");
  const RemoveOutcome settled = store->settle(planned);
  EXPECT_EQ(settled.kind, Kind::failed);
  EXPECT_THAT(settled.message, ::testing::HasSubstr(trash_entry("d/a")));
  EXPECT_TRUE(tree.has(trash_entry("d/a")));
}

TEST(Trash, putting_back_by_link_may_be_interrupted) {
  TestTree tree;
  tree.write("a");
  const auto store = tree.store();
  const ObjectMeta planned = store->head(ObjectKey("a")).value();
  fs::create_directory(tree.root() / ".heimdall-trash");
  fs::create_hard_link(tree.root() / "a", tree.root() / trash_entry("a"));
  EXPECT_EQ(store->settle(planned).kind, Kind::failed);
  EXPECT_EQ(keys_of(*store).value(), std::vector<std::string>{"a"});
  EXPECT_FALSE(tree.has(".heimdall-trash"));
}

// Does something only in the child of kill_at(): removes "d/a" of the tree in the environment.
TEST(TrashCrash, child_process) {
  const char* root = std::getenv("HEIMDALL_TEST_TREE");
  if (root == nullptr) return;
  SystemClock clock;
  const auto store = open_directory_store({root}, clock).value();
  remove_one(*store, store->head(ObjectKey("d/a")).value(), OpenGate());
}

// A process of its own that is killed at `point` while it deletes "d/a".
void kill_at(const char* point, const TestTree& tree) {
  const pid_t child = fork();
  if (child == 0) {
    setenv("HEIMDALL_STORAGE_CRASH_AT", point, 1);
    setenv("HEIMDALL_TEST_TREE", tree.root().c_str(), 1);
    execl("/proc/self/exe", "store_tests", "--gtest_filter=TrashCrash.child_process", "--gtest_brief=1", nullptr);
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << point << ": " << status;
}

// Invariants 6 and 9: the next start finishes or undoes it.
TEST(TrashCrash, a_move_that_was_not_finished_is_undone) {
  TestTree tree;
  tree.write("d/a", "content");
  const auto store = tree.store();
  const ObjectMeta planned = store->head(ObjectKey("d/a")).value();
  kill_at("store.fs.renamed", tree);
  EXPECT_FALSE(tree.has("d/a"));
  EXPECT_EQ(keys_of(*store).value(), std::vector<std::string>{});
  EXPECT_EQ(store->settle(planned).kind, Kind::failed);
  EXPECT_EQ(tree.read("d/a"), "content");
  EXPECT_FALSE(tree.has(".heimdall-trash"));
  EXPECT_EQ(store->settle(planned).kind, Kind::failed);
}

TEST(TrashCrash, an_unlink_that_was_not_reported_is_a_deletion) {
  TestTree tree;
  tree.write("d/a");
  const auto store = tree.store();
  const ObjectMeta planned = store->head(ObjectKey("d/a")).value();
  kill_at("store.fs.unlinked", tree);
  EXPECT_EQ(store->settle(planned).kind, Kind::deleted);
  EXPECT_FALSE(tree.has(".heimdall-trash"));
}

}  // namespace
}  // namespace heimdall
