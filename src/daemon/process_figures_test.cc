#include "daemon/process_figures.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <chrono>

#include "io/fd.h"

namespace heimdall {
namespace {

TEST(ProcessFiguresTest, says_what_the_kernel_knows_of_this_process) {
  const ProcessFigures figures = process_figures();
  EXPECT_GE(figures.threads, 1U);
  EXPECT_GT(figures.resident_bytes, 1U << 20);
  EXPECT_GE(figures.open_fds, 3U);
  EXPECT_GE(figures.max_fds, figures.open_fds);
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_GT(figures.start_time_seconds, now - 3600);
  EXPECT_LT(figures.start_time_seconds, now + 60);
}

TEST(ProcessFiguresTest, counts_an_open_file_and_forgets_a_closed_one) {
  const std::uint64_t before = process_figures().open_fds;
  {
    const UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(process_figures().open_fds, before + 1);
  }
  EXPECT_EQ(process_figures().open_fds, before);
}

TEST(ProcessFiguresTest, time_of_the_processor_only_grows) {
  const double before = process_figures().cpu_seconds;
  EXPECT_GE(process_figures().cpu_seconds, before);
}

}  // namespace
}  // namespace heimdall
