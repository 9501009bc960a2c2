#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace heimdall {
namespace {

Result<int> half_of(int n) {
  if (n % 2 != 0) return Error{ErrorCode::invalid_argument, "odd"};
  return n / 2;
}

Result<int> quarter_of(int n) {
  TRY_ASSIGN(const int half, half_of(n));
  TRY(half_of(half));
  return half / 2;
}

TEST(Error, try_passes_the_value_on) { EXPECT_EQ(quarter_of(8).value(), 2); }

TEST(Error, try_passes_the_error_on) {
  EXPECT_EQ(quarter_of(3).error().message, "odd");
  EXPECT_EQ(quarter_of(6).error().code, ErrorCode::invalid_argument);
}

TEST(Error, context_stands_in_front) {
  EXPECT_EQ(with_context(Error{ErrorCode::corrupt, "cut"}, "plan").message, "plan: cut");
}

// Invariant 2: only the peer's own "no such thing" is absence.
TEST(Error, only_absence_reads_as_absence) {
  for (int code = 1; code < 130; ++code) {
    const bool absent = system_error(code, "x").code == ErrorCode::not_found;
    EXPECT_EQ(absent, code == ENOENT || code == ENOTDIR) << code;
  }
}

}  // namespace
}  // namespace heimdall
