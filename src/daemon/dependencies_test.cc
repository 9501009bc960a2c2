#include "daemon/dependencies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using Status = DependencyState::Status;
using ::testing::ElementsAre;

class RecordedLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::string_view message, std::span<const LogField>) override {
    const std::scoped_lock lock(mutex_);
    lines_.push_back(std::string(event) + ": " + std::string(message));
  }
  bool takes(LogLevel) const override { return true; }
  std::vector<std::string> lines() const {
    const std::scoped_lock lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

// Waits for something that other threads bring about; a test that waits in vain fails.
template <class Condition>
bool comes(const Condition& condition) {
  for (int i = 0; i < 10'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

// A gate at which a look waits, whatever it is asked to do, until the test opens it.
class Gate {
 public:
  void open() {
    const std::scoped_lock lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return is_open_; });
    ++passed_;
    changed_.notify_all();
  }
  bool wait_for_somebody() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return waiting_ > 0; });
  }
  bool wait_until_passed() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return passed_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = false;
  int waiting_ = 0;
  int passed_ = 0;
};

class DependenciesTest : public ::testing::Test {
 protected:
  static Dependencies::Pace fast() { return {5ms, 1ms, 10s, 10ms}; }
  Dependency store(std::string name = "minio") {
    return {"store", std::move(name), [this](std::stop_token) -> Result<void> {
              ++looks_;
              if (is_away_) return Error{ErrorCode::unavailable, "connection refused"};
              return {};
            }};
  }

  SystemClock clock_;
  RecordedLog log_;
  std::atomic<bool> is_away_ = false;
  std::atomic<int> looks_ = 0;
};

TEST_F(DependenciesTest, knows_after_the_first_look_how_each_is) {
  Dependencies dependencies({store(), {"database", "main", [](std::stop_token) -> Result<void> {
                                         return Error{ErrorCode::permission_denied, "password authentication failed"};
                                       }}},
                            fast(), clock_, log_);
  dependencies.wait_for_first(10s);
  const auto states = dependencies.states();
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(states[0].kind, "store");
  EXPECT_EQ(states[0].name, "minio");
  EXPECT_EQ(states[0].status, Status::ok);
  EXPECT_EQ(states[0].message, "");
  EXPECT_TRUE(states[0].checked_at);
  EXPECT_EQ(states[0].last_ok_at, states[0].checked_at);
  EXPECT_EQ(states[1].status, Status::failed);
  EXPECT_EQ(states[1].message, "password authentication failed");
  EXPECT_FALSE(states[1].last_ok_at);
}

TEST_F(DependenciesTest, says_once_that_one_went_away_and_once_that_it_is_back) {
  Dependencies dependencies({store()}, fast(), clock_, log_);
  dependencies.wait_for_first(10s);
  const auto is = [&](Status status) { return dependencies.states().front().status == status; };
  EXPECT_TRUE(comes([&] { return is(Status::ok); }));
  is_away_ = true;
  EXPECT_TRUE(comes([&] { return is(Status::failed); }));
  const int looks = looks_;
  EXPECT_TRUE(comes([&] { return looks_ > looks + 5; })) << "it is looked at again and again";
  const auto last_ok = dependencies.states().front().last_ok_at;
  EXPECT_LT(last_ok, dependencies.states().front().checked_at);
  is_away_ = false;
  EXPECT_TRUE(comes([&] { return is(Status::ok); }));
  EXPECT_TRUE(comes([&] { return log_.lines().size() == 3; }));
  EXPECT_THAT(log_.lines(), ElementsAre("dependency.up: store 'minio' is there", "dependency.down: store 'minio' is away: connection refused",
                                        "dependency.up: store 'minio' is back"));
}

TEST_F(DependenciesTest, one_that_hangs_counts_as_failed_and_holds_up_nobody) {
  const auto gate = std::make_shared<Gate>();
  Dependencies::Pace pace = fast();
  pace.limit = 20ms;
  Dependencies dependencies({store(), {"database", "main", [gate](std::stop_token) -> Result<void> {
                                         gate->pass();
                                         return {};
                                       }}},
                            pace, clock_, log_);
  dependencies.wait_for_first(10s);
  EXPECT_TRUE(comes([&] { return dependencies.states()[1].status == Status::failed; }));
  EXPECT_THAT(dependencies.states()[1].message, ::testing::StartsWith("no answer for "));
  EXPECT_TRUE(dependencies.states()[1].checked_at);
  EXPECT_TRUE(comes([&] { return dependencies.states()[0].status == Status::ok; }));
  const int looks = looks_;
  EXPECT_TRUE(comes([&] { return looks_ > looks + 5; }));
  gate->open();
  EXPECT_TRUE(comes([&] { return dependencies.states()[1].status == Status::ok; })) << "it is failed until it returns";
}

TEST_F(DependenciesTest, a_look_under_way_is_asked_to_end) {
  const auto gate = std::make_shared<Gate>();
  std::atomic<bool> was_asked = false;
  {
    Dependencies::Pace pace = fast();
    pace.patience = 10s;
    Dependencies dependencies({{"store", "slow", [&](std::stop_token stop) -> Result<void> {
                                  const std::stop_callback when_asked(stop, [&] {
                                    was_asked = true;
                                    gate->open();
                                  });
                                  gate->pass();
                                  return Error{ErrorCode::cancelled, "asked to stop"};
                                }}},
                              pace, clock_, log_);
    EXPECT_TRUE(gate->wait_for_somebody());
    EXPECT_EQ(dependencies.states().front().status, Status::unknown);
  }
  EXPECT_TRUE(was_asked);
  EXPECT_TRUE(log_.lines().empty()) << "a look that was cut short says nothing";
}

TEST_F(DependenciesTest, one_that_does_not_listen_is_left_behind) {
  const auto gate = std::make_shared<Gate>();
  const auto began = clock_.boot_now();
  {
    Dependencies dependencies({{"store", "deaf", [gate](std::stop_token) -> Result<void> {
                                  gate->pass();
                                  return Error{ErrorCode::unavailable, "too late"};
                                }}},
                              fast(), clock_, log_);
    EXPECT_TRUE(gate->wait_for_somebody());
  }
  EXPECT_LT(clock_.boot_now() - began, 9s) << "longer than its patience, shorter than the gate is shut";
  gate->open();
  EXPECT_TRUE(gate->wait_until_passed());
  EXPECT_TRUE(log_.lines().empty());
}

TEST_F(DependenciesTest, replacing_keeps_what_is_known_of_those_that_stay) {
  Dependencies dependencies({store("minio"), store("old")}, {1h, 1h, 10s, 10ms}, clock_, log_);
  dependencies.wait_for_first(10s);
  const auto gate = std::make_shared<Gate>();
  dependencies.replace({{"store", "new", [](std::stop_token) { return Result<void>(); }},
                        {"store", "minio", [gate](std::stop_token) -> Result<void> {
                           gate->pass();
                           return {};
                         }}});
  const auto states = dependencies.states();
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(states[0].name, "new");
  EXPECT_EQ(states[1].name, "minio");
  EXPECT_EQ(states[1].status, Status::ok) << "known from before, although this look has not returned";
  gate->open();
  dependencies.wait_for_first(10s);
  EXPECT_TRUE(comes([&] { return dependencies.states()[0].status == Status::ok; }));
}

TEST_F(DependenciesTest, without_dependencies_nothing_is_waited_for) {
  Dependencies dependencies({}, fast(), clock_, log_);
  dependencies.wait_for_first(1h);
  EXPECT_TRUE(dependencies.states().empty());
}

}  // namespace
}  // namespace heimdall
