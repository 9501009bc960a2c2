#include "state/process_mark.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace heimdall {
namespace {

TEST(ProcessMark, this_process_is_running) { EXPECT_TRUE(seems_running(this_process())); }

TEST(ProcessMark, same_pid_with_another_start_is_another_process) {
  ProcessMark mark = this_process();
  ASSERT_GT(mark.start_ticks, 0);
  ++mark.start_ticks;
  EXPECT_FALSE(seems_running(mark));
}

TEST(ProcessMark, process_of_another_boot_is_gone) {
  ProcessMark mark = this_process();
  mark.boot_id = "00000000-0000-0000-0000-000000000000";
  EXPECT_FALSE(seems_running(mark));
}

TEST(ProcessMark, unknown_start_counts_as_running_while_the_pid_is_taken) {
  EXPECT_TRUE(seems_running({getpid(), 0, ""}));
  EXPECT_FALSE(seems_running({0, 0, ""}));
}

TEST(ProcessMark, killed_child_is_gone_before_and_after_it_is_waited_for) {
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  EXPECT_TRUE(seems_running({child, 0, ""}));
  kill(child, SIGKILL);
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_FALSE(seems_running({child, 0, ""}));
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(seems_running({child, 0, ""}));
}

}  // namespace
}  // namespace heimdall
