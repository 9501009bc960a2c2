#include "daemon/run_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "testing/fake_clock.h"

namespace heimdall {
namespace {

using ::testing::ElementsAre;

class RunProgressTest : public ::testing::Test {
 protected:
  testing::FakeClock clock_;
  std::vector<std::string> told_;
  RunProgress progress_{clock_,
                        {[this](const RunPosition& at) { told_.push_back(at.phase + " " + std::to_string(at.done)); },
                         [this](const RunPosition& at, std::chrono::nanoseconds took) {
                           told_.push_back(at.phase + " took " + std::to_string(took / std::chrono::milliseconds(1)));
                         },
                         [this](std::string_view message) { told_.emplace_back(message); }}};
};

TEST_F(RunProgressTest, tells_both_ends_of_a_phase) {
  progress_.begin("listing", "raw", 100);
  EXPECT_EQ(progress_.position().phase, "listing");
  EXPECT_EQ(progress_.position().bucket, "raw");
  EXPECT_EQ(progress_.position().expected, 100U);
  progress_.advance(7);
  clock_.advance(std::chrono::milliseconds(1500));
  progress_.end();
  EXPECT_THAT(told_, ElementsAre("listing 0", "listing 7", "listing took 1500"));
  EXPECT_EQ(progress_.position().phase, "");
}

TEST_F(RunProgressTest, tells_at_most_twice_a_second_in_between) {
  progress_.begin("listing", "raw", std::nullopt);
  for (int i = 0; i < 100; ++i) {
    clock_.advance(std::chrono::milliseconds(100));
    progress_.advance(1);
  }
  EXPECT_EQ(told_.size(), 1U + 20U);
  EXPECT_NEAR(progress_.position().per_second, 10, 0.01);
}

TEST_F(RunProgressTest, an_outer_phase_goes_on_where_it_was) {
  progress_.begin("sweep", "raw", 10);
  progress_.advance(3);
  progress_.begin("references", "raw", std::nullopt);
  progress_.advance(1000);
  progress_.end();
  EXPECT_EQ(progress_.position().phase, "sweep");
  EXPECT_EQ(progress_.position().done, 3U);
  progress_.advance(1);
  EXPECT_EQ(progress_.position().done, 4U);
}

TEST_F(RunProgressTest, an_end_without_a_beginning_is_nothing) {
  progress_.end();
  progress_.advance(1);
  EXPECT_EQ(progress_.position().phase, "");
}

TEST_F(RunProgressTest, warnings_are_passed_on) {
  progress_.warn("careful");
  EXPECT_THAT(told_, ElementsAre("careful"));
}

TEST_F(RunProgressTest, workers_advance_side_by_side) {
  progress_.begin("listing", "raw", std::nullopt);
  {
    std::vector<std::jthread> workers;
    for (int i = 0; i < 4; ++i) {
      workers.emplace_back([this] {
        for (int n = 0; n < 1000; ++n) {
          progress_.advance(1);
          clock_.advance(std::chrono::milliseconds(1));
        }
      });
    }
  }
  EXPECT_EQ(progress_.position().done, 4000U);
  EXPECT_LE(told_.size(), 1U + 8U);
}

}  // namespace
}  // namespace heimdall
