#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "ports/history.h"
#include "ports/journal.h"
#include "testing/fake_clock.h"

namespace heimdall::testing {

// What JournalLog and History promise, whatever stands behind them. Run on the fake and on the state database, so that the
// fake cannot drift.
class StateUnderTest {
 public:
  virtual ~StateUnderTest() = default;
  virtual JournalLog& journal() = 0;
  virtual History& history() = 0;
  // The process dies without a goodbye, and another one opens the same state.
  virtual void crash() = 0;
};

struct StateKind {
  std::string name;
  std::function<std::unique_ptr<StateUnderTest>(const FakeClock& clock)> make;
};

class StateContract : public ::testing::TestWithParam<StateKind> {
 protected:
  void SetUp() override { state_ = GetParam().make(clock_); }
  JournalLog& journal() { return state_->journal(); }
  History& history() { return state_->history(); }

  FakeClock clock_;
  std::unique_ptr<StateUnderTest> state_;
};

}  // namespace heimdall::testing
