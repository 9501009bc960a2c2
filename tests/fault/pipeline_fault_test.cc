// Fails the n-th call of each port, n = 1, 2, 3... until a run stays clean, and holds what is left against a model.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "faulty_journal.h"
#include "pipeline/test_world.h"
#include "testing/faulty_source.h"
#include "testing/faulty_store.h"

namespace heimdall::testing {
namespace {

using namespace std::chrono_literals;

// A bucket in which, between plan and sweep, one orphan is referenced again, one rewritten, and one taken away by somebody else.
class Scenario {
 public:
  explicit Scenario(LookupCost cost, unsigned workers = 1) {
    world.policy.delete_workers = workers;
    world.store.set_settle_delay(20s);
    world.store.set_page_size(4);
    world.add_source("uris", KeyForm::uri).add("s3://raw/kept/0");
    for (auto& source : world.sources) source->data().lookup_cost = cost;
    world.policy.protect = {Glob("protected/**")};
    world.put_orphans(7);
    world.put_old("protected/a");
    world.store.put("young/a");
    keys_before_ = world.store.keys();
  }

  // Plan, change the world, apply; each as far as it gets. Then the process is gone.
  void run() {
    const RunOutcome planned = world.plan();
    if (!planned.plan) return;
    auto approved = world.approved(*planned.plan);
    ASSERT_TRUE(approved.has_value());
    change();
    world.clock.advance(1min);
    world.apply(*approved);
    world.journal.crash();
  }

  void change() {
    if (std::exchange(changed_, true)) return;
    world.source(1).add("s3://raw/orphan/101");
    world.put_old("orphan/103");  // the same size and date: only the ETag tells
    world.store.erase("orphan/105");
    world.put_old("unplanned/a");
  }

  static const std::set<std::string>& deletable() {
    static const std::set<std::string> keys = {"orphan/100", "orphan/102", "orphan/104", "orphan/106"};
    return keys;
  }

  // Invariants 1, 3, 5, 8: whatever failed, only these were ever deleted.
  void check_nothing_else_was_deleted() const {
    for (const ObjectMeta& object : world.store.removed()) {
      EXPECT_TRUE(deletable().contains(object.key.bytes())) << object.key.bytes() << " was deleted";
    }
  }

  // Invariant 6: every key's fate is known, or known to be in doubt.
  void check_journal_tells_the_truth() const {
    for (const std::string& key : keys_before_) {
      const auto outcome = world.outcome(key);
      const bool here = world.store.contains(key);
      if (!outcome) {
        EXPECT_TRUE(here || (changed_ && key == "orphan/105")) << key << " is gone without an intent";
        continue;
      }
      if (*outcome == Outcome::in_doubt) continue;
      // It could not be compared, so nobody sent anything; that somebody else took it away is not seen.
      if (*outcome == Outcome::failed && changed_ && key == "orphan/105") continue;
      const bool is_gone = *outcome == Outcome::deleted || *outcome == Outcome::already_gone;
      EXPECT_EQ(here, !is_gone) << key << " is " << to_string(*outcome);
    }
  }

  void recover_through_clean_ports() {
    use_clean_ports();
    ASSERT_TRUE(world.recover_all().has_value());
    EXPECT_TRUE(world.journal.in_doubt("").value().empty());
    for (const ObjectMeta& object : world.store.removed()) {
      EXPECT_EQ(world.outcome(object.key.bytes()), Outcome::deleted) << object.key.bytes();
    }
  }

  // What was left is done by the next run.
  void finish() {
    change();
    world.source(1).remove("s3://raw/orphan/101");
    world.source(1).add("s3://raw/orphan/101");
    const ApprovedPlan plan = world.approved_plan();
    EXPECT_EQ(world.apply(plan).report.status, RunStatus::success);
    for (const std::string& key : deletable()) EXPECT_FALSE(world.store.contains(key)) << key;
    for (const char* key : {"kept/0", "kept/3", "orphan/101", "protected/a", "young/a"}) EXPECT_TRUE(world.store.contains(key)) << key;
  }

  void use_clean_ports() {
    world.store_port = &world.store;
    world.journal_port = &world.journal;
    for (std::size_t i = 0; i < world.sources.size(); ++i) world.source_ports[i] = world.sources[i].get();
  }

  World world;

 private:
  std::vector<std::string> keys_before_;
  bool changed_ = false;
};

// `install` puts the faulty port in front and returns whether its fault was reached, asked after the run.
template <class Install>
void fail_each_call(Install install) {
  struct Way {
    LookupCost cost;
    unsigned workers;
  };
  for (const auto& [cost, workers] : {Way{LookupCost::indexed, 1}, Way{LookupCost::unsupported, 1}, Way{LookupCost::indexed, 3}}) {
    for (std::uint64_t n = 1;; ++n) {
      SCOPED_TRACE("call " + std::to_string(n));
      ASSERT_LT(n, 500U) << "it never ends";
      Scenario scenario(cost, workers);
      const auto reached = install(scenario.world, n);
      scenario.run();
      scenario.check_nothing_else_was_deleted();
      scenario.check_journal_tells_the_truth();
      const bool struck = reached();
      scenario.recover_through_clean_ports();
      scenario.check_journal_tells_the_truth();
      if (!struck) {
        EXPECT_EQ(scenario.world.store.removed().size(), Scenario::deletable().size()) << "a clean run does all of it";
      }
      scenario.finish();
      if (!struck || ::testing::Test::HasFailure()) break;
    }
  }
}

class StoreFaults : public ::testing::TestWithParam<StoreFault> {};
TEST_P(StoreFaults, leave_a_known_state_whichever_call_fails) {
  fail_each_call([&](World& world, std::uint64_t n) {
    auto faulty = std::make_shared<FaultyStore>(world.store, StoreFaultPlan{GetParam(), n, StoreCall::any});
    world.store_port = faulty.get();
    return [faulty] { return faulty->reached(); };
  });
}
INSTANTIATE_TEST_SUITE_P(Each, StoreFaults,
                         ::testing::Values(StoreFault::error, StoreFault::timeout_after_effect, StoreFault::timeout_without_effect,
                                           StoreFault::short_page, StoreFault::duplicate_page, StoreFault::reordered_page));

class SourceFaults : public ::testing::TestWithParam<SourceFault> {};
TEST_P(SourceFaults, leave_a_known_state_whichever_call_fails) {
  for (const std::size_t source : {0U, 1U}) {
    fail_each_call([&](World& world, std::uint64_t n) {
      auto faulty = std::make_shared<FaultySource>(world.source(source), SourceFaultPlan{GetParam(), n, SourceCall::any});
      world.source_ports[source] = faulty.get();
      return [faulty] { return faulty->reached(); };
    });
  }
}
INSTANTIATE_TEST_SUITE_P(Each, SourceFaults,
                         ::testing::Values(SourceFault::error, SourceFault::timeout_after_effect, SourceFault::truncated,
                                           SourceFault::duplicated_rows, SourceFault::reordered_rows));

class JournalFaults : public ::testing::TestWithParam<JournalFault> {};
TEST_P(JournalFaults, leave_a_known_state_whichever_write_fails) {
  fail_each_call([&](World& world, std::uint64_t n) {
    auto faulty = std::make_shared<FaultyJournal>(world.journal, JournalFaultPlan{GetParam(), n});
    world.journal_port = faulty.get();
    return [faulty] { return faulty->reached(); };
  });
}
INSTANTIATE_TEST_SUITE_P(Each, JournalFaults, ::testing::Values(JournalFault::once, JournalFault::for_good, JournalFault::after_effect));

// Invariant 6: faults of recover itself; what it could not settle it settles the next time.
TEST(RecoverFaults, leave_in_doubt_what_could_not_be_looked_up) {
  for (const StoreFault fault : {StoreFault::error, StoreFault::timeout_after_effect}) {
    for (std::uint64_t n = 1;; ++n) {
      SCOPED_TRACE(n);
      ASSERT_LT(n, 100U);
      Scenario scenario(LookupCost::indexed);
      FaultyJournal journal(scenario.world.journal, {JournalFault::for_good, 4});
      scenario.world.journal_port = &journal;
      scenario.run();
      ASSERT_FALSE(scenario.world.journal.in_doubt("").value().empty());
      FaultyStore store(scenario.world.store, {fault, n, StoreCall::any});
      scenario.use_clean_ports();
      scenario.world.store_port = &store;
      (void)scenario.world.recover_all();
      scenario.world.journal.crash();
      scenario.check_nothing_else_was_deleted();
      scenario.check_journal_tells_the_truth();
      scenario.recover_through_clean_ports();
      scenario.finish();
      if (!store.reached() || ::testing::Test::HasFailure()) break;
    }
  }
}

}  // namespace
}  // namespace heimdall::testing
