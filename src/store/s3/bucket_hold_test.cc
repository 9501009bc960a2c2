#include "store/s3/bucket_hold.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "base/format.h"

namespace heimdall {
namespace {

std::string unique_name(const char* what) { return format("test-{}-{}", getpid(), what); }

// Invariant 9.
TEST(BucketHold, keeps_others_away_and_names_itself) {
  const std::vector<std::string> names = {unique_name("a"), unique_name("b")};
  auto first = hold_names(names, "bucket 'x'");
  ASSERT_TRUE(first) << first.error().message;
  const auto second = hold_names({{unique_name("b")}}, "bucket 'x'");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::locked);
  EXPECT_EQ(second.error().message, format("process {} is deleting in bucket 'x'", getpid()));
  EXPECT_TRUE(hold_names({{unique_name("c")}}, "bucket 'x'"));
  first->reset();
  EXPECT_TRUE(hold_names(names, "bucket 'x'"));
}

TEST(BucketHold, ends_with_the_process_however_that_ends) {
  const std::vector<std::string> names = {unique_name("killed")};
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto hold = hold_names(names, "bucket 'x'");
    const char byte = hold ? '1' : '0';
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    for (;;) pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  ASSERT_EQ(byte, '1');
  const auto refused = hold_names(names, "bucket 'x'");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, format("process {} is deleting in bucket 'x'", child));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(hold_names(names, "bucket 'x'"));
  close(ready[0]);
  close(ready[1]);
}

}  // namespace
}  // namespace heimdall
