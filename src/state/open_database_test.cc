#include "state/open_database.h"

#include <gmock/gmock.h>
#include <grp.h>

#include "state/schema.h"
#include "state/test_support.h"

namespace heimdall {
namespace {

namespace fs = std::filesystem;
using testing::content_of;
using testing::ended_with;
using testing::FakeClock;
using testing::in_child;
using testing::some_objects;
using testing::TempDir;
using testing::write_file;
using ::testing::HasSubstr;

class OpenDatabaseTest : public ::testing::Test {
 protected:
  OpenDatabaseTest() : directory_(*StateDirectory::open(temp_.path() / "state")) {}

  Result<StateDatabase::Opened> open() { return StateDatabase::open(directory_, clock_); }
  // A sound database with something in it, closed cleanly.
  void fill() {
    auto opened = open();
    ASSERT_TRUE(opened->database->intend("run", "raw", "id", some_objects(2000)).has_value());
    ASSERT_TRUE(opened->database->use_plan("digest", "run").has_value());
    write_file(directory_.ledger("raw"), "ages");
  }
  void expect_set_aside(std::string_view why) {
    const std::string damaged = content_of(directory_.database());
    const auto opened = open();
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    EXPECT_THAT(opened->warning, HasSubstr("state.db.damaged-2026-11-23T00:14:16Z")) << why;
    EXPECT_THAT(opened->warning, HasSubstr("grace starts again"));
    const fs::path kept = directory_.database().string() + ".damaged-2026-11-23T00:14:16Z";
    EXPECT_EQ(content_of(kept), damaged);  // both empty if it was missing
    EXPECT_FALSE(fs::exists(directory_.ledger("raw")));
    EXPECT_EQ(content_of(directory_.root() / "ledgers.damaged-2026-11-23T00:14:16Z" / "raw.ledger"), "ages");
    EXPECT_TRUE(opened->database->in_doubt("")->empty());
    EXPECT_TRUE(opened->database->use_plan("digest", "run").has_value());
  }
  void change_file(const std::function<void(std::string&)>& change) {
    std::string bytes = content_of(directory_.database());
    change(bytes);
    write_file(directory_.database(), bytes);
  }

  const TempDir temp_;
  FakeClock clock_;
  StateDirectory directory_;
};

TEST_F(OpenDatabaseTest, fresh_directory_gives_a_private_database_without_a_warning) {
  const auto opened = open();
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  EXPECT_EQ(opened->warning, "");
  EXPECT_EQ(fs::status(directory_.database()).permissions(), fs::perms(0600));
}

TEST_F(OpenDatabaseTest, sound_database_is_opened_again_as_it_was) {
  fill();
  const auto opened = open();
  EXPECT_EQ(opened->warning, "");
  EXPECT_EQ(opened->database->in_doubt("")->size(), 2000U);
  EXPECT_EQ(content_of(directory_.ledger("raw")), "ages");
}

TEST_F(OpenDatabaseTest, commits_are_synced) {
  fill();
  auto opened = open_database(directory_, clock_);
  EXPECT_EQ(*integer_of(opened->db, "PRAGMA synchronous"), 2);  // FULL
  EXPECT_EQ(*integer_of(opened->db, "PRAGMA busy_timeout"), 10000);
}

TEST_F(OpenDatabaseTest, garbage_header_is_set_aside) {
  fill();
  change_file([](std::string& bytes) { bytes.replace(0, 16, "this is no db!!!"); });
  expect_set_aside("header");
}

TEST_F(OpenDatabaseTest, text_file_is_set_aside) {
  fill();
  write_file(directory_.database(), "hello");
  expect_set_aside("text");
}

TEST_F(OpenDatabaseTest, truncated_file_is_set_aside) {
  fill();
  change_file([](std::string& bytes) { bytes.resize(bytes.size() / 2); });
  expect_set_aside("cut");
}

TEST_F(OpenDatabaseTest, file_cut_to_nothing_is_set_aside_while_there_are_ledgers) {
  fill();
  write_file(directory_.database(), "");
  expect_set_aside("empty");
}

TEST_F(OpenDatabaseTest, ledgers_without_a_database_start_again) {
  fill();
  fs::remove(directory_.database());
  expect_set_aside("missing");
}

// Overwrites one page after the other: either the check sees it, or every row is as it was. Page 1 holds the header.
TEST_F(OpenDatabaseTest, overwritten_pages_are_set_aside) {
  fill();
  const std::string sound = content_of(directory_.database());
  constexpr std::size_t kPage = 4096;
  ASSERT_EQ(sound.size() % kPage, 0U);
  int noticed = 0;
  for (std::size_t at = 0; at < sound.size(); at += kPage) {
    std::string bytes = sound;
    for (std::size_t i = at; i < at + 64; ++i) bytes[i] = static_cast<char>(~bytes[i]);
    const TempDir other;
    const auto directory = StateDirectory::open(other.path());
    write_file(directory->database(), bytes);
    const auto opened = StateDatabase::open(*directory, clock_);
    ASSERT_TRUE(opened.has_value()) << at << opened.error().message;
    if (!opened->warning.empty()) {
      ++noticed;
    } else {
      EXPECT_EQ(opened->database->in_doubt("")->size(), 2000U) << at;
    }
  }
  EXPECT_GE(noticed, static_cast<int>(sound.size() / kPage) - 2);
}

TEST_F(OpenDatabaseTest, damage_that_shows_later_is_checked_at_the_next_start) {
  fill();
  suspect_damage(directory_);
  const auto opened = open();
  EXPECT_EQ(opened->warning, "");
  EXPECT_FALSE(fs::exists(directory_.database().string() + ".suspect"));
}

TEST_F(OpenDatabaseTest, damaged_file_that_another_process_has_open_is_left_alone) {
  fill();
  int ready[2], done[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(done), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto guard = DatabaseGuard::enter(directory_.database().string() + ".lock");
    char byte = guard && guard->share() ? '+' : '-';
    if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 1) _exit(1);
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  ASSERT_EQ(byte, '+');
  change_file([](std::string& bytes) { bytes.replace(0, 16, "this is no db!!!"); });
  const auto opened = open();
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::corrupt);
  EXPECT_THAT(opened.error().hint, HasSubstr("stop every heimdall-storage"));
  EXPECT_TRUE(fs::exists(directory_.ledger("raw")));
  ASSERT_EQ(write(done[1], &byte, 1), 1);
  waitpid(child, nullptr, 0);
  fs::remove(directory_.database().string() + ".suspect");
  expect_set_aside("alone again");
}

TEST_F(OpenDatabaseTest, newer_version_is_refused_and_not_touched) {
  fill();
  {
    auto opened = open_database(directory_, clock_);
    ASSERT_TRUE(opened->db.execute("PRAGMA user_version = 3").has_value());
  }
  const std::string before = content_of(directory_.database());
  const auto opened = open();
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::failed_precondition);
  EXPECT_THAT(opened.error().message, HasSubstr("format 3"));
  EXPECT_EQ(content_of(directory_.database()), before);
  EXPECT_TRUE(fs::exists(directory_.ledger("raw")));
}

TEST_F(OpenDatabaseTest, database_of_another_program_is_refused_and_not_touched) {
  {
    auto db = sqlite::Database::open(directory_.database(), sqlite::OpenMode::create, std::chrono::seconds(1));
    ASSERT_TRUE(db->execute("CREATE TABLE t (x)").has_value());
  }
  const std::string before = content_of(directory_.database());
  const auto opened = open();
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(content_of(directory_.database()), before);
}

TEST_F(OpenDatabaseTest, file_of_another_user_is_permission_denied_and_not_damage) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  fill();
  fs::permissions(temp_.path(), fs::perms(0755));
  for (const char* name : {"", "ledgers", "locks", "tmp", "state.db.lock"}) {
    ASSERT_EQ(chown((directory_.root() / name).c_str(), 65534, 65534), 0);
  }
  const int status = in_child([&] {
    if (setgroups(0, nullptr) != 0 || setgid(65534) != 0 || setuid(65534) != 0) return 9;
    const auto opened = StateDatabase::open(directory_, clock_);
    if (opened) return 1;
    return opened.error().code == ErrorCode::permission_denied && !opened.error().hint.empty() ? 0 : 2;
  });
  EXPECT_TRUE(ended_with(status, 0)) << status / 256;
  EXPECT_TRUE(fs::exists(directory_.ledger("raw")));
}

}  // namespace
}  // namespace heimdall
