#include "pipeline/sweep/crew.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace heimdall {
namespace {

// So many are under way at once, at most.
class Gauge {
 public:
  void enter() {
    const unsigned now = ++under_way_;
    unsigned most = most_;
    while (now > most && !most_.compare_exchange_weak(most, now)) {}
  }
  void leave() { --under_way_; }
  unsigned most() const { return most_; }

 private:
  std::atomic<unsigned> under_way_{0};
  std::atomic<unsigned> most_{0};
};

TEST(CrewTest, every_job_is_done_once) {
  std::vector<std::atomic<int>> done(200);
  {
    Crew<std::size_t> crew("test", 4, [&](std::size_t job) { ++done[job]; });
    for (std::size_t job = 0; job < done.size(); ++job) {
      crew.wait_for_room();
      crew.hand_over(job);
    }
  }
  for (const auto& times : done) EXPECT_EQ(times, 1);
}

TEST(CrewTest, no_more_than_most_are_under_way) {
  Gauge gauge;
  Crew<int> crew("test", 3, [&](int) {
    gauge.enter();
    std::this_thread::yield();
    gauge.leave();
  });
  for (int i = 0; i < 200; ++i) {
    crew.wait_for_room();
    crew.hand_over(i);
  }
  crew.wait_until_idle();
  EXPECT_LE(gauge.most(), 3U);
  EXPECT_EQ(crew.under_way(), 0U);
}

TEST(CrewTest, most_can_be_changed_by_a_job) {
  Gauge gauge;
  std::vector<unsigned> seen;
  Crew<int> crew("test", 1, [&](int job) {
    if (job == 0) crew.set_most(2);
    gauge.enter();
    if (job > 0) {
      while (gauge.most() < 2) std::this_thread::yield();  // one alone would wait for ever
    }
    gauge.leave();
  });
  for (int i = 0; i < 3; ++i) {
    crew.wait_for_room();
    crew.hand_over(i);
    if (i == 0) crew.wait_until_idle();
  }
  crew.wait_until_idle();
  EXPECT_EQ(gauge.most(), 2U);
}

TEST(CrewTest, one_at_a_time_keeps_the_order) {
  std::vector<int> done;
  Crew<int> crew("test", 1, [&](int job) { done.push_back(job); });
  for (int i = 0; i < 50; ++i) {
    crew.wait_for_room();
    crew.hand_over(i);
  }
  crew.wait_until_idle();
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_EQ(done.size(), 50U);
}

}  // namespace
}  // namespace heimdall
