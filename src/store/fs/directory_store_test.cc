#include "store/fs/directory_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <fcntl.h>
#include <sched.h>

#include <thread>

#include "io/fd.h"
#include "store/fs/test_tree.h"
#include "testing/fake_store.h"

namespace heimdall {
namespace {

namespace fs = std::filesystem;
using testing::keys_of;
using testing::links_of;
using testing::OpenGate;
using testing::TestTree;
using Kind = RemoveOutcome::Kind;
using Keys = std::vector<std::string>;
using Links = std::vector<TreeLink>;

Kind remove_one(ObjectStore& store, const ObjectMeta& object) {
  return store.remove(std::vector{object}, OpenGate()).value().at(0).kind;
}

// File access of this thread as a user without privileges, for tests that run as root.
class Unprivileged {
 public:
  Unprivileged() { setfsuid(65534); }
  ~Unprivileged() { setfsuid(geteuid()); }
};

// The hand that plans holds nothing that can delete.
TEST(DirectoryStore, a_reader_is_no_store) {
  TestTree tree;
  const auto reader = open_directory_reader({tree.root()}, tree.clock()).value();
  EXPECT_EQ(dynamic_cast<ObjectStore*>(reader.get()), nullptr);
}

TEST(DirectoryStore, a_missing_root_is_not_found_and_says_what_to_look_at) {
  TestTree tree;
  const auto store = open_directory_store({tree.base() / "nothing"}, tree.clock());
  EXPECT_EQ(store.error().code, ErrorCode::not_found);
  EXPECT_THAT(store.error().hint, ::testing::HasSubstr("mounted"));
}

TEST(DirectoryStore, a_file_is_no_root) {
  TestTree tree;
  tree.write("file");
  EXPECT_EQ(open_directory_reader({tree.root() / "file"}, tree.clock()).error().code, ErrorCode::invalid_argument);
}

// Invariant 2: a tree that went away is no empty tree.
TEST(DirectoryStore, tells_how_full_its_disk_is) {
  TestTree tree;
  const auto store = tree.store();
  const auto capacity = store->capacity().value();
  ASSERT_TRUE(capacity.has_value());
  EXPECT_GT(capacity->total_bytes, 0U);
  EXPECT_GT(capacity->free_bytes, 0U);
  EXPECT_LE(capacity->used_bytes + capacity->free_bytes, capacity->total_bytes);
}

TEST(DirectoryStore, a_replaced_root_is_an_error_and_no_absence) {
  TestTree tree;
  tree.write("a");
  const auto store = tree.store();
  const ObjectMeta a = store->head(ObjectKey("a")).value();
  for (const bool replaced : {false, true}) {
    if (replaced) {
      fs::create_directory(tree.root());
    } else {
      fs::rename(tree.root(), tree.base() / "moved");
      fs::remove(tree.base() / "moved" / "a");
    }
    EXPECT_EQ(keys_of(*store).error().code, ErrorCode::failed_precondition);
    EXPECT_EQ(store->head(a.key).error().code, ErrorCode::failed_precondition);
    EXPECT_EQ(store->identity().error().code, ErrorCode::failed_precondition);
    EXPECT_EQ(store->remove(std::vector{a}, OpenGate()).error().code, ErrorCode::failed_precondition);
    EXPECT_EQ(store->settle(a).kind, Kind::in_doubt);
    EXPECT_FALSE(store->hold());
  }
}

TEST(DirectoryStore, identity_is_the_same_by_another_path_and_changes_with_the_directory) {
  TestTree tree;
  const std::string identity = tree.store()->identity().value();
  fs::create_directory_symlink(tree.root(), tree.base() / "link");
  EXPECT_EQ(open_directory_store({tree.base() / "link"}, tree.clock()).value()->identity().value(), identity);
  fs::rename(tree.root(), tree.base() / "old");
  fs::create_directory(tree.root());
  EXPECT_NE(tree.store()->identity().value(), identity);
}

// Invariant 8: what a link leads to is not ours, inside or outside of the root.
TEST(DirectoryStore, links_are_neither_listed_nor_followed_nor_deleted) {
  TestTree tree;
  tree.write("real/file");
  fs::create_directory(tree.base() / "outside");
  fs::rename(tree.root() / "real/file", tree.base() / "outside/file");
  tree.write("real/file");
  fs::create_symlink("real/file", tree.root() / "to-file");
  fs::create_directory_symlink("real", tree.root() / "to-directory");
  fs::create_directory_symlink("../outside", tree.root() / "to-outside");
  fs::create_directory_symlink(".", tree.root() / "to-itself");
  fs::create_symlink("nowhere", tree.root() / "dangling");
  const auto store = tree.store();
  EXPECT_EQ(keys_of(*store).value(), Keys{"real/file"});
  EXPECT_EQ(keys_of(*store, {"to-outside/", "", ""}).value(), Keys{});
  ObjectMeta planned = store->head(ObjectKey("real/file")).value();
  for (const char* key : {"to-file", "to-directory/file", "to-outside/file", "to-itself/real/file", "dangling", "../outside/file",
                          "real/../real/file", "./real/file", "/real/file", "real//file", "real/"}) {
    EXPECT_EQ(store->head(ObjectKey(key)).error().code, ErrorCode::not_found) << key;
    planned.key = ObjectKey(key);
    EXPECT_NE(remove_one(*store, planned), Kind::deleted) << key;
  }
  EXPECT_TRUE(tree.has("to-file") && tree.has("real/file") && fs::exists(tree.base() / "outside/file"));
}

// Invariant 4: a row may name by the link what is listed without it.
TEST(DirectoryStore, tells_of_a_link_to_a_place_of_the_same_tree) {
  struct Case {
    const char* link;
    fs::path target;
    const char* place;
  };
  for (const Case& one : {Case{"current", "v1", "v1/"}, Case{"latest", "v1/x", "v1/x"}, Case{"deep/er/current", "../../v1/sub", "v1/sub/"}, Case{"self", ".", ""},
                          Case{"v1/up", "..", ""}, Case{"around", "../root/v1", "v1/"}, Case{"chain", "step", "v1/"}}) {
    TestTree tree;
    tree.write("v1/sub/y");
    tree.write("v1/x");
    fs::create_directories((tree.root() / one.link).parent_path());
    // A chain leads out of the tree and back in.
    fs::create_directory_symlink(tree.root() / "v1", tree.base() / "back");
    fs::create_directory_symlink(one.target == "step" ? fs::path("../back") : one.target, tree.root() / one.link);
    const auto store = tree.store();
    EXPECT_EQ(keys_of(*store).value(), (Keys{"v1/sub/y", "v1/x"})) << one.link;
    EXPECT_EQ(links_of(*store).value(), (Links{{one.link, one.place}}));
  }
}

TEST(DirectoryStore, tells_of_each_link_of_a_chain) {
  TestTree tree;
  tree.write("v1/x");
  fs::create_directory_symlink("v1", tree.root() / "b");
  fs::create_directory_symlink("b", tree.root() / "a");
  fs::create_symlink("../a/x", tree.root() / "v1/c");
  EXPECT_THAT(links_of(*tree.store()).value(), ::testing::UnorderedElementsAre(TreeLink{"a", "v1/"}, TreeLink{"b", "v1/"}, TreeLink{"v1/c", "v1/x"}));
}

// Who may go where we may not could name objects by it.
TEST(DirectoryStore, a_link_that_cannot_be_followed_ends_the_listing) {
  TestTree tree;
  tree.write("shut/v1/x");
  fs::create_directory_symlink("shut/v1", tree.root() / "current");
  fs::permissions(tree.root(), fs::perms(0755));
  const auto store = tree.store();
  fs::permissions(tree.root() / "shut", fs::perms::none);
  {
    const Unprivileged user;
    const auto keys = keys_of(*store, {"c", "", ""});
    ASSERT_FALSE(keys);
    EXPECT_EQ(keys.error().code, ErrorCode::permission_denied);
    EXPECT_THAT(keys.error().message, ::testing::HasSubstr("'current'"));
  }
  fs::permissions(tree.root() / "shut", fs::perms::owner_all);
}

TEST(DirectoryStore, an_absolute_link_and_the_other_name_of_the_root_lead_to_the_same_place) {
  TestTree tree;
  tree.write("v1/x");
  fs::create_directory_symlink(tree.root() / "v1", tree.root() / "current");
  fs::create_directory_symlink(tree.root(), tree.base() / "other-name");
  const auto store = open_directory_store({tree.base() / "other-name"}, tree.clock()).value();
  EXPECT_EQ(links_of(*store).value(), (Links{{"current", "v1/"}}));
}

TEST(DirectoryStore, links_that_lead_out_of_the_tree_or_nowhere_do_no_harm) {
  TestTree tree;
  tree.write("v1/x");
  fs::create_directory(tree.base() / "root-beside");  // begins like the root, and is not below it
  fs::create_directory_symlink("../root-beside", tree.root() / "beside");
  fs::create_directory_symlink("/", tree.root() / "up");
  fs::create_symlink("/etc/passwd", tree.root() / "file");
  fs::create_symlink("nowhere", tree.root() / "dangling");
  fs::create_symlink("loop", tree.root() / "loop");
  fs::create_symlink("v1/x/y", tree.root() / "below-a-file");
  fs::create_symlink(std::string(300, 'n'), tree.root() / "too-long");
  EXPECT_EQ(keys_of(*tree.store()).value(), Keys{"v1/x"});
  EXPECT_EQ(links_of(*tree.store()).value(), Links{});
}

TEST(DirectoryStore, a_link_does_no_harm_where_it_leads_to_what_is_kept) {
  TestTree tree;
  tree.write("v1/x");
  fs::create_directory_symlink("v1", tree.root() / "current");
  fs::create_symlink("v1/x", tree.root() / "latest");
  std::vector<std::string> asked;
  tree.is_kept = [&](std::string_view place) {
    asked.emplace_back(place);
    return true;
  };
  EXPECT_EQ(links_of(*tree.store()).value(), Links{});
  EXPECT_THAT(asked, ::testing::UnorderedElementsAre("v1/", "v1/x"));
}

// Whatever is listed side by side, one of the listings meets it.
TEST(DirectoryStore, each_link_is_met_by_the_listing_of_one_range) {
  TestTree tree;
  for (const char* key : {"a/1", "b/1", "c/1", "d/1"}) tree.write(key);
  fs::create_directory_symlink("../a", tree.root() / "c/current");
  const auto store = tree.store();
  const auto ranges = store->split({}, {.wanted = 4}).value();
  ASSERT_GT(ranges.size(), 2U);
  std::size_t met = 0;
  for (const ListRange& range : ranges) met += links_of(*store, range).value().size();
  EXPECT_EQ(met, 1U);
  EXPECT_EQ(links_of(*store, {"a/", "", ""}).value(), Links{});
}

// Invariants 5 and 8: the directory that was listed is not the one that is there now.
TEST(DirectoryStore, a_link_put_in_place_of_a_directory_saves_what_it_leads_to) {
  TestTree tree;
  tree.write("d/file");
  const auto store = tree.store();
  const ObjectMeta planned = store->head(ObjectKey("d/file")).value();
  fs::rename(tree.root() / "d", tree.base() / "elsewhere");
  fs::create_directory_symlink("../elsewhere", tree.root() / "d");
  EXPECT_EQ(remove_one(*store, planned), Kind::changed);
  EXPECT_EQ(store->settle(planned).kind, Kind::changed);
  EXPECT_TRUE(fs::exists(tree.base() / "elsewhere/file"));
}

TEST(DirectoryStore, only_regular_files_are_objects) {
  TestTree tree;
  tree.write("file");
  fs::create_directories(tree.root() / "empty/below");
  ASSERT_EQ(mkfifo((tree.root() / "fifo").c_str(), 0600), 0);
  sockaddr_un address{AF_UNIX, {}};
  const std::string path = (tree.root() / "socket").string();
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const UniqueFd server(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const auto store = tree.store();
  EXPECT_EQ(keys_of(*store).value(), Keys{"file"});
  for (const char* key : {"fifo", "socket", "empty", "empty/below"}) {
    EXPECT_EQ(store->head(ObjectKey(key)).error().code, ErrorCode::not_found) << key;
  }
}

// Invariant 2: a directory that cannot be read is an error that names it, never skipped.
TEST(DirectoryStore, an_unreadable_directory_ends_the_listing) {
  TestTree tree;
  tree.write("a/file");
  tree.write("b/secret/file");
  tree.write("c/file");
  fs::permissions(tree.root() / "b/secret", fs::perms::none);
  const auto store = tree.store();
  {
    const Unprivileged user;
    const auto keys = keys_of(*store);
    ASSERT_FALSE(keys);
    EXPECT_EQ(keys.error().code, ErrorCode::permission_denied);
    EXPECT_THAT(keys.error().message, ::testing::HasSubstr("b/secret/"));
    EXPECT_EQ(keys_of(*store, {"", "", "b/"}).value(), Keys{"a/file"});
    EXPECT_EQ(keys_of(*store, {"c", "", ""}).value(), Keys{"c/file"});
    EXPECT_EQ(store->head(ObjectKey("b/secret/file")).error().code, ErrorCode::permission_denied);
    EXPECT_EQ(store->head(ObjectKey("b/secret/none")).error().code, ErrorCode::permission_denied);
  }
  fs::permissions(tree.root() / "b/secret", fs::perms::owner_all);
}

TEST(DirectoryStore, a_listing_that_failed_stays_failed) {
  TestTree tree;
  tree.write("a/file");
  fs::permissions(tree.root() / "a", fs::perms::none);
  const auto store = tree.store();
  const auto listing = store->list({}).value();
  ObjectPage page;
  {
    const Unprivileged user;
    EXPECT_FALSE(listing->next(page));
  }
  fs::permissions(tree.root() / "a", fs::perms::owner_all);
  EXPECT_FALSE(listing->next(page));
  EXPECT_TRUE(page.empty());
}

TEST(DirectoryStore, what_may_not_be_deleted_stays_and_is_reported) {
  TestTree tree;
  tree.write("locked/file");
  const auto store = tree.store();
  const ObjectMeta object = store->head(ObjectKey("locked/file")).value();
  fs::permissions(tree.root(), fs::perms(0777));
  fs::permissions(tree.root() / "locked", fs::perms(0555));
  {
    const Unprivileged user;
    EXPECT_EQ(remove_one(*store, object), Kind::failed);
  }
  EXPECT_EQ(store->head(object.key).value(), object);
  EXPECT_FALSE(tree.has(".heimdall-trash"));
  fs::permissions(tree.root(), fs::perms(0555));
  {
    const Unprivileged user;
    const auto removed = store->remove(std::vector{object}, OpenGate());
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().code, ErrorCode::permission_denied);
  }
  fs::permissions(tree.root(), fs::perms::owner_all);
  fs::permissions(tree.root() / "locked", fs::perms::owner_all);
}

// Invariant 8. In a mount namespace of its own thread.
TEST(DirectoryStore, never_crosses_a_mount) {
  TestTree tree;
  tree.write("here/file");
  fs::create_directories(tree.root() / "mounted");
  fs::create_directories(tree.root() / "bound");
  tree.write("bound-file", "covered");
  std::string skipped;
  std::thread([&] {
    const auto mounted = [](const char* source, const fs::path& target, const char* type, unsigned long flags) {
      return mount(source, target.c_str(), type, flags, nullptr) == 0;
    };
    if (unshare(CLONE_NEWNS) != 0 || !mounted("none", "/", nullptr, MS_REC | MS_PRIVATE) ||
        !mounted("none", tree.root() / "mounted", "tmpfs", 0) ||
        !mounted((tree.root() / "here").c_str(), tree.root() / "bound", nullptr, MS_BIND) ||
        !mounted((tree.root() / "here/file").c_str(), tree.root() / "bound-file", nullptr, MS_BIND)) {
      skipped = "this user may not mount";
      return;
    }
    std::ofstream(tree.root() / "mounted/file") << "x";
    const auto store = tree.store();
    EXPECT_EQ(keys_of(*store).value(), Keys{"here/file"});
    EXPECT_EQ(keys_of(*store, {"bound/", "", ""}).value(), Keys{});
    ObjectMeta planned = store->head(ObjectKey("here/file")).value();
    for (const char* key : {"mounted/file", "bound/file", "bound-file"}) {
      EXPECT_EQ(store->head(ObjectKey(key)).error().code, ErrorCode::not_found) << key;
      planned.key = ObjectKey(key);
      EXPECT_EQ(remove_one(*store, planned), Kind::changed) << key;
      EXPECT_TRUE(tree.has(key));
    }
    // Something is mounted over the root itself.
    ASSERT_TRUE(mounted("none", tree.root(), "tmpfs", 0));
    EXPECT_EQ(keys_of(*store).error().code, ErrorCode::failed_precondition);
    EXPECT_NE(tree.store()->identity().value(), open_directory_store({tree.base()}, tree.clock()).value()->identity().value());
  }).join();
  if (!skipped.empty()) GTEST_SKIP() << skipped;
}

TEST(DirectoryStore, deep_trees_cost_neither_descriptors_nor_paths) {
  TestTree tree;
  UniqueFd directory(open(tree.root().c_str(), O_PATH | O_CLOEXEC));
  std::string key;
  for (int i = 0; i < 2100; ++i) {
    ASSERT_EQ(mkdirat(directory.get(), "d", 0755), 0);
    directory = UniqueFd(openat(directory.get(), "d", O_PATH | O_CLOEXEC));
    key += "d/";
    if (i % 400 == 0) close(openat(directory.get(), "z", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  }
  close(openat(directory.get(), "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  key += "file";
  const auto store = tree.store();
  const Keys keys = keys_of(*store).value();
  ASSERT_EQ(keys.size(), 7U);
  EXPECT_EQ(keys.front(), key);
  EXPECT_EQ(keys.back(), "d/z");
  EXPECT_EQ(keys_of(*store, {key.substr(0, key.size() - 2), "", ""}).value(), Keys{key});
  EXPECT_EQ(remove_one(*store, store->head(ObjectKey(key)).value()), Kind::deleted);
}

TEST(DirectoryStore, what_vanishes_while_it_is_listed_is_gone) {
  TestTree tree;
  for (int i = 1000; i < 2100; ++i) tree.write("a/" + std::to_string(i));
  tree.write("b/c/file");
  tree.write("z");
  const auto store = tree.store();
  const auto listing = store->list({}).value();
  ObjectPage page;
  ASSERT_EQ(listing->next(page).value(), PageStatus::more);
  const std::size_t before = page.size();
  fs::remove_all(tree.root() / "a");
  fs::remove_all(tree.root() / "b");
  tree.write("b");  // a file where a directory was
  ASSERT_EQ(listing->next(page).value(), PageStatus::last);
  EXPECT_LT(before, 1100U);
  ASSERT_EQ(page.size(), 1U);
  EXPECT_EQ(page[0].key, "z");
}

// A file restored with its old date is young by its ctime; `age: mtime` says that the date is to be believed.
TEST(DirectoryStore, age_is_the_newest_change_unless_mtime_is_asked_for) {
  TestTree tree;
  tree.write("a");
  const timespec old[2] = {{1000000000, 7}, {1000000000, 7}};
  ASSERT_EQ(utimensat(AT_FDCWD, (tree.root() / "a").c_str(), old, 0), 0);
  const auto by_mtime = tree.store(AgeFrom::mtime)->head(ObjectKey("a")).value();
  EXPECT_EQ(by_mtime.last_modified, Timestamp(std::chrono::seconds(1000000000) + std::chrono::nanoseconds(7)));
  const auto by_change = tree.store()->head(ObjectKey("a")).value();
  EXPECT_GT(*by_change.last_modified, Timestamp(std::chrono::seconds(1700000000)));
}

// Invariant 4: a date that no Timestamp can hold would wrap around and look ancient.
TEST(DirectoryStore, a_date_beyond_all_bounds_is_unknown_and_kept) {
  EXPECT_EQ(to_timestamp(FileTime{std::int64_t{1} << 34, 0}), std::nullopt);
  EXPECT_EQ(to_timestamp(FileTime{-(std::int64_t{1} << 34), 0}), std::nullopt);
  TestTree tree;
  tree.write("a");
  const auto store = tree.store();
  ObjectMeta object = store->head(ObjectKey("a")).value();
  object.last_modified = std::nullopt;
  EXPECT_EQ(remove_one(*store, object), Kind::failed);
  EXPECT_TRUE(tree.has("a"));
}

TEST(DirectoryStore, the_tag_tells_a_rewrite_in_place) {
  TestTree tree;
  tree.write("a", "before");
  const timespec old[2] = {{1000000000, 0}, {1000000000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, (tree.root() / "a").c_str(), old, 0), 0);
  for (const AgeFrom age : {AgeFrom::mtime, AgeFrom::newest_change}) {
    const auto store = tree.store(age);
    const ObjectMeta planned = store->head(ObjectKey("a")).value();
    const timespec newer[2] = {{1000000001, 0}, {1000000001, age == AgeFrom::mtime ? 1 : 2}};
    std::ofstream(tree.root() / "a") << "after!";
    ASSERT_EQ(utimensat(AT_FDCWD, (tree.root() / "a").c_str(), newer, 0), 0);
    EXPECT_EQ(remove_one(*store, planned), Kind::changed);
  }
}

TEST(DirectoryStore, directories_that_become_empty_stay) {
  TestTree tree;
  tree.write("a/b/file");
  const auto store = tree.store();
  EXPECT_EQ(remove_one(*store, store->head(ObjectKey("a/b/file")).value()), Kind::deleted);
  EXPECT_TRUE(tree.has("a/b"));
  EXPECT_FALSE(tree.has(".heimdall-trash"));
}

TEST(DirectoryStore, a_trash_that_leads_elsewhere_is_refused) {
  TestTree tree;
  tree.write("a");
  fs::create_directory(tree.base() / "elsewhere");
  fs::create_directory_symlink("../elsewhere", tree.root() / ".heimdall-trash");
  const auto store = tree.store();
  const ObjectMeta object = store->head(ObjectKey("a")).value();
  EXPECT_EQ(store->remove(std::vector{object}, OpenGate()).error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(store->settle(object).kind, Kind::in_doubt);
  EXPECT_TRUE(tree.has("a"));
}

}  // namespace
}  // namespace heimdall
