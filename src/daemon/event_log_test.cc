#include "daemon/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "testing/fake_clock.h"

namespace heimdall {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> json_of(const EventLog::Batch& batch) {
  std::vector<std::string> all;
  for (const RunEvent& event : batch.events) all.push_back(event.json);
  return all;
}

class EventLogTest : public ::testing::Test {
 protected:
  testing::FakeClock clock_;
  EventLog events_{clock_, 5};
};

TEST_F(EventLogTest, gives_what_came_after_an_id_in_order) {
  events_.add("r1", "status", "a");
  const std::uint64_t seen = events_.last_id();
  events_.add("r1", "log", "b");
  events_.add("r2", "log", "c");
  const auto batch = events_.after(seen, "");
  EXPECT_THAT(json_of(batch), ElementsAre("b", "c"));
  EXPECT_EQ(batch.next, events_.last_id());
  EXPECT_FALSE(batch.lost_some);
  EXPECT_THAT(json_of(events_.after(batch.next, "")), ElementsAre());
  EXPECT_THAT(json_of(events_.after(0, "r1")), ElementsAre("a", "b"));
}

TEST_F(EventLogTest, a_limit_leaves_the_rest_for_the_next_call) {
  for (const char* text : {"a", "b", "c", "d"}) events_.add(*text == 'b' ? "other" : "r", "log", text);
  const auto first = events_.after(0, "r", 2);
  EXPECT_THAT(json_of(first), ElementsAre("a", "c"));
  const auto second = events_.after(first.next, "r", 2);
  EXPECT_THAT(json_of(second), ElementsAre("d"));
  EXPECT_EQ(second.next, events_.last_id());
}

TEST_F(EventLogTest, keeps_the_latest_and_says_when_some_are_lost) {
  const std::uint64_t start = events_.last_id();
  for (int i = 0; i < 7; ++i) events_.add("r", "log", std::to_string(i));
  const auto batch = events_.after(start, "");
  EXPECT_THAT(json_of(batch), ElementsAre("2", "3", "4", "5", "6"));
  EXPECT_TRUE(batch.lost_some);
  EXPECT_FALSE(events_.after(start + 2, "").lost_some);
  EXPECT_FALSE(events_.after(0, "").lost_some) << "who asks for all that is kept misses nothing";
}

TEST_F(EventLogTest, long_events_push_out_more_of_the_old_ones) {
  EventLog events(clock_, 100, 10'000);
  for (int i = 0; i < 50; ++i) events.add("r", "summary", std::string(3000, 'x'));
  EXPECT_EQ(events.after(0, "").events.size(), 3U);
  events.add("r", "summary", std::string(50'000, 'x'));
  EXPECT_EQ(events.after(0, "").events.size(), 1U) << "the last one stays, however long";
}

TEST_F(EventLogTest, ids_go_on_after_a_restart) {
  for (int i = 0; i < 5; ++i) events_.add("r", "log", "old");
  const std::uint64_t seen = events_.last_id();
  clock_.advance(std::chrono::seconds(1));
  EventLog restarted(clock_, 5);
  EXPECT_GT(restarted.last_id(), seen);
  restarted.add("r", "log", "new");
  const auto batch = restarted.after(seen, "");
  EXPECT_THAT(json_of(batch), ElementsAre("new"));
  EXPECT_TRUE(batch.lost_some) << "nobody knows what came between";
}

TEST_F(EventLogTest, an_id_from_the_future_gets_all_that_is_kept) {
  const std::uint64_t seen = events_.last_id();
  clock_.set_now(clock_.now() - std::chrono::hours(24));
  EventLog restarted(clock_, 5);
  restarted.add("r", "log", "new");
  const auto batch = restarted.after(seen, "");
  EXPECT_THAT(json_of(batch), ElementsAre("new"));
  EXPECT_TRUE(batch.lost_some);
  EXPECT_EQ(batch.next, restarted.last_id());
}

TEST_F(EventLogTest, wakes_subscribers_until_they_leave) {
  int woken = 0;
  auto subscription = events_.subscribe([&] { ++woken; });
  events_.add("r", "log", "a");
  EXPECT_EQ(woken, 1);
  subscription.reset();
  events_.add("r", "log", "b");
  EXPECT_EQ(woken, 1);
}

TEST_F(EventLogTest, a_subscription_may_outlive_the_log) {
  EventLog::Subscription subscription;
  {
    EventLog events(clock_);
    subscription = events.subscribe([] {});
  }
  subscription.reset();
}

TEST_F(EventLogTest, threads_add_and_read_side_by_side) {
  EventLog events(clock_, 1000);
  std::atomic<std::uint64_t> woken{0};
  std::size_t seen = 0;
  {
    const auto subscription = events.subscribe([&] { ++woken; });
    std::jthread reader([&](std::stop_token stop) {
      std::uint64_t next = events.after(0, "").next;
      while (!stop.stop_requested() || next < events.last_id()) {
        const auto batch = events.after(next, "", 7);
        seen += batch.events.size();
        next = batch.next;
      }
    });
    std::vector<std::jthread> writers;
    for (int t = 0; t < 3; ++t) {
      writers.emplace_back([&] {
        for (int i = 0; i < 300; ++i) events.add("r", "log", "x");
      });
    }
    writers.clear();
  }
  EXPECT_EQ(woken, 900U);
  EXPECT_LE(seen, 900U);
}

}  // namespace
}  // namespace heimdall
