#include "state/state_directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>

#include <optional>

#include "state/test_support.h"

namespace heimdall {
namespace {

namespace fs = std::filesystem;
using testing::ended_with;
using testing::in_child;
using testing::TempDir;
using testing::write_file;
using ::testing::HasSubstr;

constexpr unsigned kNobody = 65534;

TEST(StateDirectory, creates_a_private_directory_once_and_says_so) {
  const TempDir temp;
  const fs::path path = temp.path() / "not/yet/there";
  const auto first = StateDirectory::open(path);
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE(first->created());
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
  EXPECT_FALSE(StateDirectory::open(path)->created());
  EXPECT_EQ(StateDirectory::open(path / "")->root(), path);
}

TEST(StateDirectory, refuses_a_file) {
  const TempDir temp;
  write_file(temp.path() / "state", "hello");
  for (const char* path : {"state", "state/below"}) {
    const auto opened = StateDirectory::open(temp.path() / path);
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, ErrorCode::invalid_argument) << opened.error().message;
    EXPECT_THAT(opened.error().message, HasSubstr("state"));
  }
  EXPECT_EQ(testing::content_of(temp.path() / "state"), "hello");
}

TEST(StateDirectory, read_only_directory_is_permission_denied) {
  const TempDir temp;
  ASSERT_TRUE(StateDirectory::open(temp.path() / "state").has_value());
  fs::permissions(temp.path(), fs::perms(0755));
  fs::permissions(temp.path() / "state", fs::perms(0555));
  const int status = in_child([&] {
    // Root may write everywhere.
    if (geteuid() == 0 && (setgroups(0, nullptr) != 0 || setgid(kNobody) != 0 || setuid(kNobody) != 0)) return 9;
    const auto opened = StateDirectory::open(temp.path() / "state");
    const auto missing = StateDirectory::open(temp.path() / "state/below");
    if (opened || missing) return 1;
    if (opened.error().code != ErrorCode::permission_denied || opened.error().hint.empty()) return 2;
    return missing.error().code == ErrorCode::permission_denied ? 0 : 3;
  });
  fs::permissions(temp.path() / "state", fs::perms(0700));
  EXPECT_TRUE(ended_with(status, 0)) << status;
}

TEST(StateDirectory, bucket_names_become_safe_file_names) {
  EXPECT_EQ(escaped_file_name("heimdall-raw-iq"), "heimdall-raw-iq");
  EXPECT_EQ(escaped_file_name("a.b_C9"), "a.b_C9");
  EXPECT_EQ(escaped_file_name("../../etc/passwd"), "%2E.%2F..%2Fetc%2Fpasswd");
  EXPECT_EQ(escaped_file_name(".."), "%2E.");
  EXPECT_EQ(escaped_file_name("50%"), "50%25");
  EXPECT_EQ(escaped_file_name(""), "%");
  EXPECT_LE(escaped_file_name(std::string(10'000, '/')).size(), 200U);
}

RC_GTEST_PROP(StateDirectory, two_names_never_share_a_file, (const std::string& a, const std::string& b)) {
  RC_PRE(a != b);
  const std::string tail(190, 'x');
  RC_ASSERT(escaped_file_name(a) != escaped_file_name(b));
  RC_ASSERT(escaped_file_name(a + tail) != escaped_file_name(b + tail));
  RC_ASSERT(escaped_file_name(a).find('/') == std::string::npos);
}

// Invariant 9: one sweep per bucket at a time.
TEST(StateDirectory, bucket_is_locked_for_everybody_else_and_the_message_names_the_holder) {
  const TempDir temp;
  const auto directory = StateDirectory::open(temp.path());
  auto lock = directory->lock_bucket("raw");
  ASSERT_TRUE(lock.has_value());
  const auto second = directory->lock_bucket("raw");
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::locked);
  EXPECT_THAT(second.error().message, HasSubstr("(pid " + std::to_string(getpid()) + ") is sweeping bucket 'raw'"));
  EXPECT_FALSE(second.error().hint.empty());
  EXPECT_TRUE(directory->lock_bucket("audio").has_value());
  lock = Error{};  // released
  EXPECT_TRUE(directory->lock_bucket("raw").has_value());
}

TEST(StateDirectory, a_second_service_is_kept_away_and_told_of_the_first) {
  const TempDir temp;
  const auto directory = StateDirectory::open(temp.path());
  const auto bucket = directory->lock_bucket("service");  // no name of a bucket is in the way
  ASSERT_TRUE(bucket.has_value());
  auto lock = directory->lock_service();
  ASSERT_TRUE(lock.has_value());
  const auto second = StateDirectory::open(temp.path())->lock_service();
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::locked);
  EXPECT_THAT(second.error().message, HasSubstr("(pid " + std::to_string(getpid()) + ") uses the state directory '" + temp.path().string() + "'"));
  EXPECT_THAT(second.error().hint, HasSubstr("stop it"));
  lock = Error{};  // released
  EXPECT_TRUE(directory->lock_service().has_value());
}

TEST(StateDirectory, a_service_that_was_killed_is_in_nobodys_way) {
  const TempDir temp;
  const auto directory = StateDirectory::open(temp.path());
  const int status = in_child([&] {
    const auto lock = directory->lock_service();
    if (lock) raise(SIGKILL);
    return 1;
  });
  EXPECT_TRUE(testing::was_killed(status));
  EXPECT_TRUE(directory->lock_service().has_value());
}

TEST(StateDirectory, the_place_of_plans_is_made_when_it_is_asked_for) {
  const TempDir temp;
  const auto directory = StateDirectory::open(temp.path());
  EXPECT_FALSE(fs::exists(temp.path() / "plans"));
  EXPECT_EQ(directory->remove_old_plans(SystemClock().now()), 0U);
  ASSERT_TRUE(directory->plans().has_value());
  EXPECT_EQ(*directory->plans(), temp.path() / "plans");
  EXPECT_EQ(fs::status(temp.path() / "plans").permissions(), fs::perms(0700));
  fs::remove(temp.path() / "plans");
  write_file(temp.path() / "plans", "in the way");
  EXPECT_EQ(directory->plans().error().code, ErrorCode::invalid_argument);
}

TEST(StateDirectory, plans_are_removed_after_two_days) {
  const TempDir temp;
  const auto directory = StateDirectory::open(temp.path());
  const fs::path plans = *directory->plans();
  write_file(plans / "a.plan", "x");
  write_file(plans / "b.plan", "x");
  fs::create_directory(plans / "not-ours");
  const Timestamp now = SystemClock().now();
  const timespec old[] = {{0, UTIME_OMIT}, {std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count() - 49 * 3600, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, (plans / "a.plan").c_str(), old, 0), 0);
  EXPECT_EQ(directory->remove_old_plans(now), 1U);
  EXPECT_FALSE(fs::exists(plans / "a.plan"));
  EXPECT_TRUE(fs::exists(plans / "b.plan"));
  EXPECT_EQ(directory->remove_old_plans(now + std::chrono::hours(49)), 1U);
  EXPECT_TRUE(fs::exists(plans / "not-ours"));
}

TEST(StateDirectory, lock_of_a_killed_process_is_free) {
  const TempDir temp;
  const auto directory = StateDirectory::open(temp.path());
  const int status = in_child([&] {
    const auto lock = directory->lock_bucket("raw");
    if (lock) raise(SIGKILL);
    return 1;
  });
  EXPECT_TRUE(testing::was_killed(status));
  EXPECT_TRUE(directory->lock_bucket("raw").has_value());
}

TEST(StateDirectory, removes_scratch_of_dead_processes_and_keeps_that_of_living_ones) {
  const TempDir temp;
  const auto directory = StateDirectory::open(temp.path());
  const fs::path mine = directory->scratch_file("snapshot");
  EXPECT_NE(mine, directory->scratch_file("snapshot"));
  write_file(mine, "x");
  write_file(temp.path() / "tmp/not-ours", "x");
  write_file(directory->ledger("raw"), "x");
  write_file(directory->ledger("raw").string() + ".tmp-" + std::to_string(getpid()), "x");
  const int status = in_child([&] {
    const auto own = StateDirectory::open(temp.path());
    write_file(own->scratch_file("spool"), "x");
    write_file(own->ledger("raw").string() + ".tmp-" + std::to_string(getpid()), "x");
    return 0;
  });
  ASSERT_TRUE(ended_with(status, 0));
  const auto files_in = [](const fs::path& path) { return std::distance(fs::directory_iterator(path), {}); };
  EXPECT_EQ(files_in(temp.path() / "tmp"), 4);  // with our sign of life
  EXPECT_EQ(files_in(temp.path() / "ledgers"), 3);
  ASSERT_TRUE(StateDirectory::open(temp.path()).has_value());
  EXPECT_TRUE(fs::exists(mine));
  EXPECT_TRUE(fs::exists(directory->ledger("raw")));
  EXPECT_EQ(files_in(temp.path() / "tmp"), 3);
  EXPECT_EQ(files_in(temp.path() / "ledgers"), 2);
}

// Names of processes that this PID namespace does not know, as those of a container are to its host: pids beyond all that the kernel gives.
constexpr std::int64_t kElsewhere = std::int64_t{1} << 30;

ProcessMark elsewhere(std::int64_t number) { return {kElsewhere + number, 1, this_process().boot_id}; }

// Invariant 9: nobody meddles with a run that is under way.
TEST(StateDirectory, keeps_what_a_process_of_another_container_works_on_until_that_has_ended) {
  const TempDir temp;
  const auto directory = StateDirectory::open(temp.path());
  const ProcessMark there = elsewhere(1);
  auto sign = std::make_unique<SignOfLife>(*SignOfLife::show(temp.path() / "tmp", there));
  const fs::path scratch = temp.path() / "tmp" / (file_name_of(there) + "-0-snapshot");
  const fs::path ledger = directory->ledger("raw").string() + ".tmp-" + std::to_string(there.pid);
  write_file(scratch, "x");
  write_file(ledger, "x");
  ASSERT_TRUE(StateDirectory::open(temp.path()).has_value());
  EXPECT_TRUE(directory->is_running(there));
  EXPECT_TRUE(fs::exists(scratch));
  EXPECT_TRUE(fs::exists(ledger));
  sign.reset();
  ASSERT_TRUE(StateDirectory::open(temp.path()).has_value());
  EXPECT_FALSE(directory->is_running(there));
  EXPECT_FALSE(fs::exists(scratch));
  EXPECT_FALSE(fs::exists(ledger));
}

TEST(StateDirectory, shows_that_this_process_runs_until_its_last_copy_is_gone) {
  const TempDir temp;
  const fs::path sign = temp.path() / "tmp" / (file_name_of(this_process()) + ".alive");
  {
    const auto first = StateDirectory::open(temp.path());
    std::optional<StateDirectory> copy;
    {
      const auto second = StateDirectory::open(temp.path());
      copy = *second;
    }
    EXPECT_TRUE(fs::exists(sign));
    EXPECT_TRUE(first->is_running(this_process()));
  }
  EXPECT_FALSE(fs::exists(sign));
}

TEST(StateDirectory, removes_the_sign_of_a_killed_process_with_its_scratch) {
  const TempDir temp;
  const int status = in_child([&] {
    const auto own = StateDirectory::open(temp.path());
    write_file(own->scratch_file("spool"), "x");
    raise(SIGKILL);
    return 1;
  });
  ASSERT_TRUE(testing::was_killed(status));
  EXPECT_EQ(std::distance(fs::directory_iterator(temp.path() / "tmp"), {}), 2);
  EXPECT_TRUE(StateDirectory::open(temp.path()).has_value());
  EXPECT_TRUE(fs::is_empty(temp.path() / "tmp"));
}

TEST(StateDirectory, scratch_of_a_process_that_did_not_know_its_boot_stays_while_it_runs) {
  const TempDir temp;
  const auto directory = StateDirectory::open(temp.path());
  const fs::path scratch = temp.path() / "tmp" / (file_name_of({getpid(), 0, ""}) + "-0-snapshot");
  write_file(scratch, "x");
  ASSERT_TRUE(StateDirectory::open(temp.path()).has_value());
  EXPECT_TRUE(fs::exists(scratch));
}

}  // namespace
}  // namespace heimdall
