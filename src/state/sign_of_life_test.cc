#include "state/sign_of_life.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <thread>
#include <vector>

#include "state/test_support.h"

namespace heimdall {
namespace {

namespace fs = std::filesystem;
using testing::ended_with;
using testing::in_child;
using testing::TempDir;
using testing::was_killed;
using testing::write_file;

class SignOfLifeTest : public ::testing::Test {
 protected:
  SignOfLifeTest() {
    // As a container's process looks from outside: its pid is another one's here.
    mark_ = this_process();
    ++mark_.start_ticks;
  }
  std::unique_ptr<SignOfLife> show() { return std::make_unique<SignOfLife>(*SignOfLife::show(temp_.path(), mark_)); }
  bool runs() const { return is_running(mark_, temp_.path()); }
  fs::path file() const { return temp_.path() / (file_name_of(mark_) + ".alive"); }

  const TempDir temp_;
  ProcessMark mark_;
};

TEST_F(SignOfLifeTest, a_process_that_shows_it_runs_whatever_our_namespace_says) {
  ASSERT_FALSE(seems_running(mark_));
  const auto sign = show();
  EXPECT_TRUE(runs());
  const int status = in_child([&] { return runs() ? 0 : 1; });
  EXPECT_TRUE(ended_with(status, 0));
}

TEST_F(SignOfLifeTest, without_one_our_namespace_tells) {
  EXPECT_FALSE(runs());
  EXPECT_TRUE(is_running(this_process(), temp_.path()));
  ProcessMark of_another_boot = this_process();
  of_another_boot.boot_id = "00000000-0000-0000-0000-000000000000";
  EXPECT_FALSE(is_running(of_another_boot, temp_.path()));
}

TEST_F(SignOfLifeTest, one_that_nobody_holds_says_ended_though_the_pid_is_taken) {
  mark_ = {getpid(), 0, ""};
  ASSERT_TRUE(seems_running(mark_));
  write_file(file(), "");
  EXPECT_FALSE(runs());
}

TEST_F(SignOfLifeTest, the_last_one_of_a_process_takes_the_file_along) {
  auto first = show();
  auto second = show();
  first.reset();
  EXPECT_TRUE(runs());
  second.reset();
  EXPECT_FALSE(fs::exists(file()));
}

TEST_F(SignOfLifeTest, ends_with_a_killed_process) {
  const int status = in_child([&] {
    const auto sign = show();
    if (runs()) raise(SIGKILL);
    return 1;
  });
  ASSERT_TRUE(was_killed(status));
  EXPECT_TRUE(fs::exists(file()));
  EXPECT_FALSE(runs());
}

TEST_F(SignOfLifeTest, a_forked_child_leaves_its_parents_in_place) {
  auto sign = show();
  const int status = in_child([&] {
    sign.reset();
    return 0;
  });
  ASSERT_TRUE(ended_with(status, 0));
  EXPECT_TRUE(fs::exists(file()));
  EXPECT_TRUE(runs());
}

TEST_F(SignOfLifeTest, only_one_that_nobody_holds_is_removed) {
  auto sign = show();
  remove_if_ended(file());
  EXPECT_TRUE(fs::exists(file()));
  sign.reset();
  write_file(file(), "");
  remove_if_ended(file());
  EXPECT_FALSE(fs::exists(file()));
}

TEST_F(SignOfLifeTest, everybody_who_may_enter_the_directory_may_look) {
  const mode_t before = umask(077);
  const auto sign = show();
  umask(before);
  struct stat info {};
  ASSERT_EQ(stat(file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0644U);
}

TEST_F(SignOfLifeTest, a_directory_that_is_not_there_is_an_error) {
  const auto sign = SignOfLife::show(temp_.path() / "missing", mark_);
  ASSERT_FALSE(sign.has_value());
  EXPECT_EQ(sign.error().code, ErrorCode::not_found);
}

TEST_F(SignOfLifeTest, is_the_file_at_its_path_however_many_remove_it_meanwhile) {
  std::vector<std::jthread> removers;
  for (int i = 0; i < 2; ++i) {
    removers.emplace_back([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) remove_if_ended(file());
    });
  }
  for (int i = 0; i < 500; ++i) {
    const auto sign = show();
    ASSERT_TRUE(fs::exists(file()));
    ASSERT_TRUE(runs());
  }
}

}  // namespace
}  // namespace heimdall
