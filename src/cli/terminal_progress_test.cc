#include "cli/terminal_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace heimdall {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <class Use>
std::string printed(TerminalProgress::Style style, Use use) {
  ::testing::internal::CaptureStderr();
  {
    TerminalProgress progress(style);
    use(progress);
  }
  return ::testing::internal::GetCapturedStderr();
}

TEST(TerminalProgress, a_short_phase_says_nothing) {
  for (auto style : {TerminalProgress::Style::bar, TerminalProgress::Style::lines, TerminalProgress::Style::none}) {
    EXPECT_THAT(printed(style, [](TerminalProgress& progress) {
      progress.begin("listing", "photos", 10);
      progress.advance(10);
      progress.end();
    }), IsEmpty());
  }
}

TEST(TerminalProgress, warnings_are_always_shown) {
  EXPECT_THAT(printed(TerminalProgress::Style::none, [](TerminalProgress& progress) { progress.warn("look here"); }),
              HasSubstr("warning: look here\n"));
}

TEST(TerminalProgress, phases_nest_and_may_be_advanced_by_several_threads) {
  EXPECT_THAT(printed(TerminalProgress::Style::bar, [](TerminalProgress& progress) {
    progress.begin("sweep", "photos", 10);
    progress.begin("recheck", "photos", std::nullopt);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) threads.emplace_back([&] { for (int n = 0; n < 1000; ++n) progress.advance(1); });
    threads.clear();
    progress.end();
    progress.end();
    progress.end();  // one too many does no harm
  }), ::testing::Not(HasSubstr("\n")));
}

}  // namespace
}  // namespace heimdall
