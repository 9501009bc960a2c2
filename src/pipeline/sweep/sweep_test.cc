#include "pipeline/sweep/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <type_traits>

#include "pipeline/test_world.h"
#include "testing/faulty_store.h"

namespace heimdall::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Types before checks: the only thing that sweep() takes comes out of approve().
static_assert(!std::is_default_constructible_v<ApprovedPlan>);
static_assert(!std::is_constructible_v<ApprovedPlan, Plan>);
static_assert(!std::is_convertible_v<Plan, ApprovedPlan>);
static_assert(!std::is_invocable_v<decltype(sweep), const Plan&, std::size_t, const SweepTarget&, JournalLog&, Clock&,
                                   const SweepOptions&, Progress&, std::stop_token>);

class SweepTest : public ::testing::Test {
 protected:
  // Every candidate is counted once.
  static void expect_sums_up(const SweepReport& report, std::uint64_t candidates) {
    const BucketFigures& f = report.figures;
    EXPECT_EQ(f.orphans_deleted + f.deletion_failures + f.skipped_referenced + f.skipped_changed + f.already_gone + report.untouched,
              candidates);
  }
  std::vector<std::string> removed_keys() const {
    std::vector<std::string> keys;
    for (const ObjectMeta& object : world_.store.removed()) keys.push_back(object.key.bytes());
    return keys;
  }

  World world_;
};

TEST_F(SweepTest, deletes_what_was_planned_and_nothing_else) {
  world_.put_orphans(7);
  world_.store.put("young");
  const ApprovedPlan plan = world_.approved_plan();
  world_.put_old("later");  // old, unreferenced, and in no plan
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_FALSE(report.failure || report.refusal || report.interrupted);
  EXPECT_EQ(report.figures.orphans_deleted, 7U);
  EXPECT_EQ(report.figures.bytes_deleted, 70U);
  EXPECT_EQ(report.untouched, 0U);
  EXPECT_THAT(world_.store.keys(), ElementsAre("kept/0", "kept/1", "kept/2", "kept/3", "later", "young"));
  EXPECT_EQ(world_.journal.intents(), 3U);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(world_.outcome("orphan/" + std::to_string(100 + i)), Outcome::deleted);
}

TEST_F(SweepTest, batches_are_no_larger_than_the_store_takes) {
  world_.put_orphans(7);
  world_.policy.batch_size = 1000;
  world_.store.set_max_batch(2);
  EXPECT_EQ(world_.sweep_only(world_.approved_plan()).figures.orphans_deleted, 7U);
  EXPECT_EQ(world_.journal.intents(), 4U);
}

// Invariant 1.
TEST_F(SweepTest, skips_what_was_referenced_again_by_lookup) {
  world_.put_orphans(4);
  const ApprovedPlan plan = world_.approved_plan();
  // Between the first wave and the batch: only the batch's own question can see it.
  world_.source().data().after_rows = [&, done = false]() mutable {
    if (!std::exchange(done, true)) world_.source().add("/orphan/101");
  };
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_EQ(report.figures.skipped_referenced, 1U);
  EXPECT_EQ(world_.outcome("orphan/101"), Outcome::skipped_referenced);
  EXPECT_TRUE(world_.store.contains("orphan/101"));
  EXPECT_GT(world_.source().lookups(), 0U);
  expect_sums_up(report, 4);
}

// Invariant 1.
TEST_F(SweepTest, skips_what_was_referenced_again_by_wave) {
  world_.policy.sources[0].mapping.as = KeyForm::automatic;
  world_.put_orphans(4);
  const ApprovedPlan plan = world_.approved_plan();
  world_.source().add("https://raw.example.com/orphan%2F102?x=y");
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_EQ(world_.outcome("orphan/102"), Outcome::skipped_referenced);
  EXPECT_EQ(report.figures.orphans_deleted, 3U);
  EXPECT_EQ(world_.source().lookups(), 0U);
}

// Invariants 1 and 12: a row that comes while a wave serves is seen by the next wave.
TEST_F(SweepTest, a_reference_written_while_a_wave_serves_keeps_what_the_next_wave_covers) {
  world_.recheck_by_wave();
  world_.put_orphans(6);
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&, done = false](const ObjectMeta& object) mutable {
    if (object.key.bytes() != "orphan/102" || std::exchange(done, true)) return;
    world_.source().add("orphan/104");
    world_.clock.advance(2h);  // the first batch was sent until here; its last object comes too late
  };
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_TRUE(world_.store.contains("orphan/104"));
  EXPECT_EQ(world_.outcome("orphan/104"), Outcome::skipped_referenced);
  EXPECT_EQ(report.figures.orphans_deleted, 5U);
}

TEST_F(SweepTest, one_of_several_sources_is_enough_to_keep) {
  world_.add_source("second").add("kept/0");
  world_.add_source("third", KeyForm::automatic).add("kept/0");
  world_.put_orphans(3);
  const ApprovedPlan plan = world_.approved_plan();
  world_.source(1).add("orphan/100");
  world_.source(2).add("s3://raw/orphan/102");
  world_.sweep_only(plan);
  EXPECT_EQ(world_.outcome("orphan/100"), Outcome::skipped_referenced);
  EXPECT_EQ(world_.outcome("orphan/101"), Outcome::deleted);
  EXPECT_EQ(world_.outcome("orphan/102"), Outcome::skipped_referenced);
}

// A source whose recheck is a query of the user's own: it gets the keys, plain and as URIs, whatever the mapping.
TEST_F(SweepTest, a_recheck_query_is_asked_for_keys_and_believed) {
  world_.policy.sources[0].mapping.as = KeyForm::automatic;
  world_.source().data().looks_up_keys = true;
  world_.put_orphans(3);
  const ApprovedPlan plan = world_.approved_plan();
  world_.source().data().after_rows = [&, done = false]() mutable {
    if (!std::exchange(done, true)) world_.source().add("s3://raw/orphan/101");
  };
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_GT(world_.source().lookups(), 0U);
  EXPECT_EQ(world_.outcome("orphan/101"), Outcome::skipped_referenced);
  EXPECT_EQ(report.figures.orphans_deleted, 2U);
}

class LosableHold final : public SourceHold {
 public:
  bool still_held() override { return !lost; }
  bool was_spoken_to() override { return speaks; }
  bool lost = false;
  bool speaks = false;
};

// Invariant 9: a database that ends the session says so, and is asked before the second is over.
TEST_F(SweepTest, asks_for_its_lock_as_soon_as_the_database_speaks) {
  LosableHold hold;
  world_.holds = {&hold};
  world_.put_orphans(9);  // three batches
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta&) { hold.lost = hold.speaks = true; };
  const SweepReport report = world_.sweep_only(plan);
  ASSERT_TRUE(report.failure.has_value());
  EXPECT_EQ(report.failure->code, ErrorCode::locked);
  EXPECT_LT(report.figures.orphans_deleted, 9U);
  EXPECT_GE(report.untouched, 6U);
}

// Invariant 9: another host may sweep from then on.
TEST_F(SweepTest, sends_nothing_more_once_a_lock_in_a_database_is_lost) {
  LosableHold hold;
  world_.holds = {&hold};
  world_.put_orphans(9);  // three batches
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta&) {
    hold.lost = true;
    world_.clock.advance(2s);
  };
  const SweepReport report = world_.sweep_only(plan);
  ASSERT_TRUE(report.failure.has_value());
  EXPECT_EQ(report.failure->code, ErrorCode::locked);
  EXPECT_EQ(report.figures.orphans_deleted, 0U);
  EXPECT_EQ(report.figures.deletion_failures, 3U);
  EXPECT_EQ(report.untouched, 6U);
  EXPECT_EQ(world_.journal.in_doubt("").value().size(), 0U);
}

TEST_F(SweepTest, a_lock_that_was_lost_before_the_first_batch_leaves_everything_as_it_was) {
  LosableHold hold;
  hold.lost = true;
  world_.holds = {&hold};
  world_.put_orphans(4);
  const SweepReport report = world_.sweep_only(world_.approved_plan());
  EXPECT_EQ(report.failure.value().code, ErrorCode::locked);
  EXPECT_THAT(removed_keys(), IsEmpty());
  EXPECT_EQ(world_.journal.intents(), 0U);
}

// Invariant 2.
TEST_F(SweepTest, deletes_nothing_when_the_recheck_is_blind) {
  world_.put_orphans(4);
  const ApprovedPlan plan = world_.approved_plan();
  world_.source().data().after_rows = [&] { world_.source().data().rows = {{"another/database"}}; };
  const SweepReport report = world_.sweep_only(plan);
  ASSERT_TRUE(report.refusal.has_value());
  EXPECT_EQ(report.refusal->guard, Guard::recheck_blind);
  EXPECT_THAT(removed_keys(), IsEmpty());
  EXPECT_EQ(report.untouched, 4U);
}

TEST_F(SweepTest, blindness_in_mid_sweep_stops_it_there) {
  world_.put_orphans(6);
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta&) { world_.source().data().rows = {{"another/database"}}; };
  const SweepReport report = world_.sweep_only(plan);
  ASSERT_TRUE(report.refusal.has_value());
  EXPECT_EQ(report.refusal->guard, Guard::recheck_blind);
  EXPECT_EQ(report.figures.orphans_deleted, 3U);
  EXPECT_EQ(report.untouched, 3U);
}

// Invariant 2: an error is never read as absence.
TEST_F(SweepTest, an_error_of_the_recheck_deletes_nothing) {
  world_.put_orphans(4);
  const ApprovedPlan plan = world_.approved_plan();
  world_.source().data().can_read_again = false;
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_TRUE(report.failure.has_value());
  EXPECT_THAT(removed_keys(), IsEmpty());
  EXPECT_EQ(report.untouched, 4U);
}

TEST_F(SweepTest, refuses_another_bucket_behind_the_same_name) {
  world_.put_orphans(4);
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.set_identity("fake:2");
  const SweepReport report = world_.sweep_only(plan);
  ASSERT_TRUE(report.refusal.has_value());
  EXPECT_EQ(report.refusal->guard, Guard::identity_changed);
  EXPECT_THAT(removed_keys(), IsEmpty());
}

// Invariant 5.
TEST_F(SweepTest, keeps_what_was_rewritten_since_the_plan) {
  const Timestamp old = world_.clock.now() - 48h;
  for (const char* key : {"same-bytes", "size", "date", "no-date"}) world_.store.put_at(key, 10, old);
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.put_at("same-bytes", 10, old);  // only its ETag differs
  world_.store.put_at("size", 11, old);
  world_.store.put_at("date", 10, old + 1s);
  world_.store.put_at("no-date", 10, std::nullopt);
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_EQ(report.figures.skipped_changed, 4U);
  for (const char* key : {"same-bytes", "size", "date", "no-date"}) {
    EXPECT_EQ(world_.outcome(key), Outcome::skipped_changed) << key;
    EXPECT_TRUE(world_.store.contains(key)) << key;
  }
  EXPECT_EQ(world_.journal.intents(), 0U);
}

// Invariant 5: the store compares once more just before it deletes.
TEST_F(SweepTest, keeps_what_is_rewritten_between_the_comparison_and_the_request) {
  world_.put_orphans(2);
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta& object) {
    if (object.key.bytes() == "orphan/100") world_.store.put("orphan/101");
  };
  world_.sweep_only(plan);
  EXPECT_EQ(world_.outcome("orphan/101"), Outcome::skipped_changed);
  EXPECT_TRUE(world_.store.contains("orphan/101"));
}

// Invariant 2: an error of the comparison is not "unchanged".
// Cannot look at one object.
class BlindSpot final : public FaultyStore {
 public:
  BlindSpot(ObjectStore& inner, std::string key, ErrorCode code = ErrorCode::unavailable) : FaultyStore(inner, {}), key_(std::move(key)), code_(code) {}
  std::vector<Result<ObjectMeta>> inspect(std::span<const ObjectKey> keys) override {
    before_look();
    auto answers = FaultyStore::inspect(keys);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (keys[i].bytes() == key_) answers[i] = Error{code_, "a disk does not answer"};
    }
    return answers;
  }
  std::function<void()> before_look = [] {};

 private:
  std::string key_;
  ErrorCode code_;
};

// A stop that keeps one object from being compared leaves the batch as it was: nothing of it left.
TEST_F(SweepTest, a_comparison_that_was_given_up_fails_no_object) {
  world_.put_orphans(4);
  world_.policy.batch_size = 1000;
  const ApprovedPlan plan = world_.approved_plan();
  BlindSpot given_up(world_.store, "orphan/102", ErrorCode::cancelled);
  world_.store_port = &given_up;
  given_up.before_look = [&] { world_.stop.request_stop(); };
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_TRUE(report.interrupted);
  EXPECT_FALSE(report.failure);
  EXPECT_EQ(report.figures.deletion_failures, 0U);
  EXPECT_EQ(report.untouched, 4U);
  EXPECT_THAT(removed_keys(), IsEmpty());
}

TEST_F(SweepTest, keeps_what_cannot_be_compared) {
  world_.put_orphans(4);
  const ApprovedPlan plan = world_.approved_plan();
  BlindSpot blind(world_.store, "orphan/100");
  world_.store_port = &blind;
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_EQ(report.figures.deletion_failures, 1U);
  EXPECT_EQ(world_.outcome("orphan/100"), Outcome::failed);
  EXPECT_THAT(removed_keys(), ElementsAre("orphan/101", "orphan/102", "orphan/103"));
}

// A store that is gone fails nobody's object: what is left can be planned again.
TEST_F(SweepTest, ends_when_the_store_answers_for_no_object_of_a_batch) {
  world_.put_orphans(4);
  const ApprovedPlan plan = world_.approved_plan();
  FaultyStore faulty(world_.store, {StoreFault::error, 1, StoreCall::inspect});
  world_.store_port = &faulty;
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_EQ(report.failure.value().code, ErrorCode::unavailable);
  EXPECT_EQ(report.figures.deletion_failures, 0U);
  EXPECT_EQ(report.untouched, 4U);
  EXPECT_THAT(removed_keys(), IsEmpty());
}

TEST_F(SweepTest, notes_what_was_gone_before_we_came) {
  world_.put_orphans(2);
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.erase("orphan/100");
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_EQ(report.figures.already_gone, 1U);
  EXPECT_EQ(world_.outcome("orphan/100"), Outcome::already_gone);
  EXPECT_EQ(report.figures.orphans_deleted, 1U);
}

// Invariant 6: no request leaves before its intent is durable, and only for the keys of that intent.
TEST_F(SweepTest, the_intent_is_durable_before_the_request_leaves) {
  world_.put_orphans(7);
  const ApprovedPlan plan = world_.approved_plan();
  int asked = 0;
  world_.store.before_remove = [&](const ObjectMeta& object) {
    ++asked;
    EXPECT_EQ(world_.outcome(object.key.bytes()), Outcome::in_doubt) << object.key.bytes();
  };
  world_.sweep_only(plan);
  EXPECT_EQ(asked, 7);
}

// Invariant 6: the journal says what it must at each of its writes; nothing is sent after it failed.
TEST_F(SweepTest, sends_nothing_more_after_an_error_of_the_journal) {
  for (std::size_t n = 1; n <= 4; ++n) {
    World world;
    world.put_orphans(7);
    const ApprovedPlan plan = world.approved_plan();
    world.journal.fail_writes_after(n, Error{ErrorCode::internal, "the disk is full"});
    const SweepReport report = world.sweep_only(plan);
    ASSERT_TRUE(report.failure.has_value()) << n;
    EXPECT_EQ(report.failure->code, ErrorCode::internal);
    EXPECT_EQ(world.store.removed().size(), std::min<std::size_t>(3 * (n - 1), 7)) << "write " << n;
    for (const ObjectMeta& object : world.store.removed()) {
      EXPECT_TRUE(world.outcome(object.key.bytes()).has_value()) << "deleted without a durable intent";
    }
    expect_sums_up(report, 7);
  }
}

// A store whose answers can be lost.
class LossyStore final : public ObjectStore {
 public:
  explicit LossyStore(World& world) : world_(world) {}
  enum class Effect { none, all };
  Effect effect = Effect::all;
  int lose = 0;                                     // so many remove() calls lose their answer
  std::chrono::nanoseconds takes{0};                // time until remove() gives up
  std::function<void()> before_answer = [] {};
  std::vector<BootTime> settled_at;
  BootTime last_sent;
  RemoveOutcome::Kind settle_as = RemoveOutcome::Kind::not_sent;  // not_sent: as it is

  Result<std::string> identity() override { return world_.store.identity(); }
  Result<Timestamp> server_time() override { return world_.store.server_time(); }
  Result<std::vector<ListRange>> split(const ListRange& range, const SplitHints& hints) override { return world_.store.split(range, hints); }
  Result<std::unique_ptr<Listing>> list(const ListRange& range) override { return world_.store.list(range); }
  Result<ObjectMeta> head(const ObjectKey& key) override { return world_.store.head(key); }
  std::vector<Result<ObjectMeta>> inspect(std::span<const ObjectKey> keys) override { return world_.store.inspect(keys); }
  std::size_t max_batch() const override { return 1000; }
  Result<std::vector<RemoveOutcome>> remove(std::span<const ObjectMeta> objects, const SendGate& gate) override {
    if (lose-- <= 0) return world_.store.remove(objects, gate);
    world_.clock.advance(takes);
    last_sent = world_.clock.boot_now();
    if (effect == Effect::all) TRY(world_.store.remove(objects, gate));
    before_answer();
    return Error{ErrorCode::in_doubt, "no answer"};
  }
  RemoveOutcome settle(const ObjectMeta& object) override {
    settled_at.push_back(world_.clock.boot_now());
    if (settle_as != RemoveOutcome::Kind::not_sent) return {settle_as, "as told"};
    return world_.store.settle(object);
  }
  std::chrono::milliseconds settle_delay() const override { return 20s; }
  Result<std::unique_ptr<BucketHold>> hold() override { return world_.store.hold(); }

 private:
  World& world_;
};

class SweepInDoubtTest : public SweepTest {
 protected:
  SweepInDoubtTest() {
    world_.put_orphans(5);
    world_.store_port = &store_;
    store_.lose = 1;
  }
  LossyStore store_{world_};
};

// Invariant 6: our request went out, and the key was found absent.
TEST_F(SweepInDoubtTest, is_looked_up_after_the_settle_delay_and_then_deleted) {
  const SweepReport report = world_.sweep_only(world_.approved_plan());
  ASSERT_EQ(store_.settled_at.size(), 3U);
  for (const BootTime at : store_.settled_at) EXPECT_GE(at - store_.last_sent, 20s);
  EXPECT_EQ(report.figures.orphans_deleted, 5U);
  EXPECT_EQ(world_.outcome("orphan/100"), Outcome::deleted);
  EXPECT_EQ(report.figures.deletion_failures, 0U);
}

TEST_F(SweepInDoubtTest, the_delay_counts_from_when_the_request_could_have_left_last) {
  world_.policy.batch_size = 5;
  store_.takes = 60s;  // queued, and sent then
  world_.policy.sources[0].mapping.as = KeyForm::automatic;
  SweepOptions options;
  options.recheck.window = 10min;
  options.recheck.wave_extra = 10min;
  world_.sweep_only(world_.approved_plan(), options);
  ASSERT_EQ(store_.settled_at.size(), 5U);
  EXPECT_GE(store_.settled_at.front() - store_.last_sent, 20s);
}

// The wall clock may step while we wait; the store goes on by real time.
TEST_F(SweepInDoubtTest, the_delay_is_not_shortened_by_a_step_of_the_wall_clock) {
  world_.policy.batch_size = 5;
  store_.before_answer = [&] { world_.clock.set_now(world_.clock.now() + 1h); };
  world_.sweep_only(world_.approved_plan());
  ASSERT_EQ(store_.settled_at.size(), 5U);
  EXPECT_GE(store_.settled_at.front() - store_.last_sent, 20s);
}

TEST_F(SweepInDoubtTest, nor_made_long_by_a_step_back) {
  store_.before_answer = [&] { world_.clock.set_now(world_.clock.now() - 1h); };
  world_.sweep_only(world_.approved_plan());
  EXPECT_LE(world_.clock.slept(), 1min);
  EXPECT_EQ(world_.outcome("orphan/100"), Outcome::deleted);
}

TEST_F(SweepInDoubtTest, is_failed_when_it_is_still_there) {
  store_.effect = LossyStore::Effect::none;
  const SweepReport report = world_.sweep_only(world_.approved_plan());
  EXPECT_EQ(report.figures.orphans_deleted, 2U);
  EXPECT_EQ(report.figures.deletion_failures, 3U);
  EXPECT_EQ(world_.outcome("orphan/100"), Outcome::failed);
  EXPECT_TRUE(world_.store.contains("orphan/100"));
  EXPECT_EQ(report.first_failure, "it is still there; the delete was answered: no answer") << "what was seen then and now";
}

TEST_F(SweepInDoubtTest, is_changed_when_another_object_is_there) {
  store_.before_answer = [&] { world_.store.put("orphan/100"); };
  world_.sweep_only(world_.approved_plan());
  EXPECT_EQ(world_.outcome("orphan/100"), Outcome::skipped_changed);
  EXPECT_TRUE(world_.store.contains("orphan/100"));
}

TEST_F(SweepInDoubtTest, stays_in_doubt_while_the_store_cannot_say) {
  store_.settle_as = RemoveOutcome::Kind::in_doubt;
  const SweepReport report = world_.sweep_only(world_.approved_plan());
  EXPECT_EQ(world_.outcome("orphan/100"), Outcome::in_doubt);
  EXPECT_EQ(report.figures.deletion_failures, 3U);
  expect_sums_up(report, 5);
}

TEST_F(SweepInDoubtTest, is_left_to_the_next_start_when_we_are_asked_to_stop) {
  store_.before_answer = [&] { world_.stop.request_stop(); };
  const SweepReport report = world_.sweep_only(world_.approved_plan());
  EXPECT_TRUE(report.interrupted);
  EXPECT_THAT(store_.settled_at, IsEmpty());
  EXPECT_EQ(world_.outcome("orphan/100"), Outcome::in_doubt);
  EXPECT_EQ(report.untouched, 2U);
  expect_sums_up(report, 5);
}

// Invariant 12: a suspended machine, a slow comparison or a slow store between the recheck and the request.
TEST_F(SweepTest, rechecks_again_when_the_verdict_got_stale_before_sending) {
  world_.put_orphans(3);
  const ApprovedPlan plan = world_.approved_plan();
  int lookups = 0;
  world_.source().data().before_read = [&] { ++lookups; };
  world_.source().data().after_rows = [&] {
    if (lookups == 2) {  // the first is begin()'s wave
      world_.clock.advance(11s);
      world_.source().add("orphan/101");  // written while we were suspended
    }
  };
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_EQ(lookups, 3);
  EXPECT_EQ(world_.outcome("orphan/101"), Outcome::skipped_referenced);
  EXPECT_EQ(report.figures.orphans_deleted, 2U);
}

// Invariant 6: what had an intent and was never sent is known, also where the store goes away before it could be.
TEST_F(SweepTest, what_was_not_sent_when_the_store_went_away_is_not_in_doubt) {
  world_.put_orphans(3);
  const ApprovedPlan plan = world_.approved_plan();
  int lookups = 0;
  world_.source().data().before_read = [&] { ++lookups; };
  world_.source().data().after_rows = [&] {
    if (lookups == 2) world_.clock.advance(11s);  // the verdict is stale by the time the intents are there
  };
  FaultyStore faulty(world_.store, {StoreFault::error, 2, StoreCall::inspect});
  world_.store_port = &faulty;
  const SweepReport report = world_.sweep_only(plan);
  ASSERT_TRUE(report.failure.has_value());
  EXPECT_EQ(report.failure->code, ErrorCode::unavailable);
  EXPECT_EQ(world_.outcome("orphan/100"), Outcome::failed);
  EXPECT_EQ(report.figures.deletion_failures, 3U);
  EXPECT_EQ(world_.journal.in_doubt("").value().size(), 0U);
}

// Invariant 12: the store asks the gate before each of its requests.
TEST_F(SweepTest, what_was_not_sent_in_time_is_rechecked_before_it_is_sent) {
  world_.put_orphans(3);
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&, done = false](const ObjectMeta& object) mutable {
    if (object.key.bytes() != "orphan/101" || std::exchange(done, true)) return;
    world_.clock.advance(11s);
    world_.source().add("orphan/102");
  };
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_EQ(world_.outcome("orphan/100"), Outcome::deleted);
  EXPECT_EQ(world_.outcome("orphan/101"), Outcome::deleted);
  EXPECT_EQ(world_.outcome("orphan/102"), Outcome::skipped_referenced);
  EXPECT_TRUE(world_.store.contains("orphan/102"));
  EXPECT_EQ(report.figures.orphans_deleted, 2U);
  EXPECT_EQ(world_.source().lookups(), 2U);
}

// Invariant 12: whatever happens in between, nothing is ever deleted later than 10 s after its recheck began.
TEST_F(SweepTest, never_deletes_on_a_stale_verdict) {
  world_.put_orphans(9);
  const ApprovedPlan plan = world_.approved_plan();
  BootTime asked;
  world_.source().data().before_read = [&] { asked = world_.clock.boot_now(); };
  std::size_t before = 0;
  world_.store.before_remove = [&](const ObjectMeta&) {
    EXPECT_LE(world_.store.removed().size(), before + 1);
    world_.clock.advance(4s);
    before = world_.store.removed().size();
  };
  world_.sweep_only(plan);
  EXPECT_EQ(world_.store.removed().size(), 9U);
  EXPECT_EQ(world_.source().lookups(), 6U) << "two objects each time";
}

TEST_F(SweepTest, gives_up_on_a_batch_that_cannot_be_sent_in_time) {
  world_.put_orphans(4);
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta& object) {
    if (object.key.bytes() < "orphan/103") world_.clock.advance(11s);
  };
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_EQ(report.figures.deletion_failures, 3U);
  EXPECT_EQ(world_.outcome("orphan/100"), Outcome::failed);
  EXPECT_TRUE(world_.store.contains("orphan/100"));
  EXPECT_EQ(world_.outcome("orphan/103"), Outcome::deleted) << "the next batch has its own chance";
  EXPECT_EQ(world_.source().lookups(), 6U);
}

// Invariant 6: what the store did not send is not in doubt, also when its recheck then fails or refuses.
TEST_F(SweepTest, what_was_never_sent_is_not_left_in_doubt) {
  for (const bool error : {false, true}) {
    World world;
    world.put_orphans(3);
    const ApprovedPlan plan = world.approved_plan();
    world.store.before_remove = [&](const ObjectMeta& object) {
      if (object.key.bytes() != "orphan/101") return;
      world.clock.advance(11s);
      if (error) world.source().data().lookup_cost = LookupCost::unsupported;  // lookups fail from now on
      else world.source().data().rows = {{"another/database"}};
    };
    const SweepReport report = world.sweep_only(plan);
    EXPECT_EQ(report.failure.has_value(), error);
    EXPECT_EQ(report.refusal.has_value(), !error);
    EXPECT_EQ(world.outcome("orphan/100"), Outcome::deleted);
    EXPECT_EQ(world.outcome("orphan/101"), Outcome::failed);
    EXPECT_EQ(world.outcome("orphan/102"), Outcome::failed);
    EXPECT_EQ(report.figures.orphans_deleted, 1U);
    EXPECT_EQ(report.figures.deletion_failures, 2U);
    EXPECT_EQ(report.untouched, 0U);
  }
}

TEST_F(SweepTest, finishes_its_batch_when_asked_to_stop_and_leaves_the_rest) {
  world_.put_orphans(7);
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta&) { world_.stop.request_stop(); };
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_TRUE(report.interrupted);
  EXPECT_FALSE(report.failure.has_value());
  EXPECT_THAT(removed_keys(), ElementsAre("orphan/100", "orphan/101", "orphan/102"));
  EXPECT_EQ(report.untouched, 4U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(world_.outcome("orphan/" + std::to_string(100 + i)), Outcome::deleted);
  EXPECT_FALSE(world_.outcome("orphan/103").has_value());
}

TEST_F(SweepTest, asked_to_stop_before_the_first_batch_it_touches_nothing) {
  world_.put_orphans(4);
  const ApprovedPlan plan = world_.approved_plan();
  world_.stop.request_stop();
  const SweepReport report = world_.sweep_only(plan);
  EXPECT_TRUE(report.interrupted);
  EXPECT_EQ(report.untouched, 4U);
  EXPECT_THAT(removed_keys(), IsEmpty());
  EXPECT_EQ(world_.journal.intents(), 0U);
}

TEST_F(SweepTest, a_stop_after_the_last_batch_interrupts_nothing) {
  world_.put_orphans(3);
  const ApprovedPlan plan = world_.approved_plan();
  world_.store.before_remove = [&](const ObjectMeta&) { world_.stop.request_stop(); };
  EXPECT_FALSE(world_.sweep_only(plan).interrupted);
}

// What was approved is what is swept: the plan's file may be replaced by the next `plan -o` meanwhile.
TEST_F(SweepTest, deletes_nothing_when_the_plans_file_was_replaced) {
  world_.put_orphans(4);
  const ApprovedPlan plan = world_.approved_plan();
  world_.put_old("later");
  const RunOutcome another = world_.plan();
  ASSERT_TRUE(another.plan.has_value());
  std::filesystem::rename(another.plan->path(), plan.plan().path());
  const SweepReport report = world_.sweep_only(plan);
  ASSERT_TRUE(report.failure.has_value());
  EXPECT_EQ(report.failure->code, ErrorCode::corrupt);
  EXPECT_THAT(removed_keys(), IsEmpty());
}

}  // namespace
}  // namespace heimdall::testing
