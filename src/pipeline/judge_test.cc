#include "pipeline/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/test_support.h"

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using testing::Days;
using testing::FakeClock;
using testing::names_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Findings of two sources that pass every guard; each test moves one figure to its limit and just beyond (invariant 7).
class JudgeTest : public ::testing::Test {
 protected:
  JudgeTest() {
    policy.name = findings.bucket = "raw";
    findings.bucket_identity = "store:raw";
    for (const char* name : {"main", "list"}) {
      SourcePolicy source;
      source.name = name;
      policy.sources.push_back(source);
      SourceFacts facts;
      facts.name = name;
      facts.identity = {std::string("db-") + name, "a,b", 50};
      facts.rows = 110;
      facts.blank = 10;
      facts.distinct_keys = 100;
      findings.sources.push_back(facts);
      findings.source_hits.push_back(90);
    }
    findings.figures.total_objects = 1000;
    findings.figures.due_objects = 10;
    findings.figures.due_bytes = 1000;
    findings.figures.in_grace_objects = 7;
    findings.figures.in_grace_bytes = 700;
  }

  std::vector<Refusal> judge() const { return heimdall::judge({findings, policy, baseline, selection, now, clock_skew, planned_bytes}); }
  std::vector<std::string> refused() const { return names_of(judge()); }
  void set_baseline() { baseline = baseline_of(findings, now); }

  // The one refusal there is, which must be `guard` and say who it is about.
  Refusal the(Guard guard) const {
    const auto refusals = judge();
    EXPECT_THAT(names_of(refusals), ElementsAre(name_of(guard)));
    if (refusals.size() != 1) return {};
    EXPECT_EQ(refusals[0].bucket, "raw");
    EXPECT_FALSE(refusals[0].message.empty());
    return refusals[0];
  }

  std::optional<std::uint64_t> planned_bytes;
  Findings findings;
  BucketPolicy policy;
  std::optional<Baseline> baseline;
  Selection selection;
  Timestamp now = FakeClock().now();
  std::chrono::nanoseconds clock_skew{0};
};

TEST_F(JudgeTest, nothing_is_wrong_with_good_findings) {
  EXPECT_THAT(refused(), IsEmpty());
  set_baseline();
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(JudgeTest, no_references) {
  findings.sources[1].rows = 11;
  findings.sources[1].distinct_keys = 1;
  findings.source_hits[1] = 1;
  EXPECT_THAT(refused(), IsEmpty());
  findings.sources[1].rows = 10;  // all of them blank
  findings.sources[1].distinct_keys = 0;
  findings.source_hits[1] = 0;
  const Refusal refusal = the(Guard::no_references);
  EXPECT_EQ(refusal.value, 0);
  EXPECT_EQ(refusal.limit, 1);
  EXPECT_THAT(refusal.message, HasSubstr("'list'"));
  EXPECT_THAT(refusal.message, HasSubstr("may_be_empty"));
  policy.sources[1].may_be_empty = true;
  EXPECT_THAT(refused(), IsEmpty());
}

// Invariant 2: rows that all name other buckets, or keys outside the prefixes, are no references of this bucket; match_rate cannot say
// anything about none, so this is the only guard that sees a renamed bucket or a wrong prefix.
TEST_F(JudgeTest, no_references_counts_references_of_this_bucket_and_not_rows) {
  findings.sources[0].distinct_keys = 0;
  findings.source_hits[0] = 0;
  findings.sources[0].other_bucket = 60;
  findings.sources[0].outside_prefixes = 40;
  const Refusal refusal = the(Guard::no_references);
  EXPECT_THAT(refusal.message, HasSubstr("'main'"));
  policy.sources[0].may_be_empty = true;
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(JudgeTest, references_fell_needs_both_a_share_and_a_number_of_rows) {
  findings.sources[0].rows = 1000;
  findings.sources[0].blank = 0;
  set_baseline();
  findings.sources[0].rows = 800;  // exactly 20 %
  EXPECT_THAT(refused(), IsEmpty());
  findings.sources[0].rows = 799;
  const Refusal refusal = the(Guard::references_fell);
  EXPECT_DOUBLE_EQ(refusal.value, 0.201);
  EXPECT_DOUBLE_EQ(refusal.limit, 0.2);
  EXPECT_THAT(refusal.message, HasSubstr("'main' fell from 1,000 to 799"));
  policy.guards.max_references_fall = 0.201;
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(JudgeTest, references_fell_lets_a_small_table_shrink_by_20_rows) {
  findings.sources[0].rows = 40;
  findings.sources[0].blank = 0;
  set_baseline();
  findings.sources[0].rows = 20;
  EXPECT_THAT(refused(), IsEmpty());
  findings.sources[0].rows = 19;
  EXPECT_EQ(the(Guard::references_fell).value, 21 / 40.0);
}

TEST_F(JudgeTest, references_fell_counts_no_blanks) {
  findings.sources[0].rows = 1000;
  findings.sources[0].blank = 0;
  set_baseline();
  findings.sources[0].blank = 201;
  EXPECT_DOUBLE_EQ(the(Guard::references_fell).value, 0.201);
}

TEST_F(JudgeTest, references_may_grow) {
  set_baseline();
  findings.sources[0].rows = 100000;
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(JudgeTest, match_rate_is_the_one_of_the_source) {
  policy.sources[0].min_match_rate = 0.9;
  EXPECT_THAT(refused(), IsEmpty());  // exactly 90 of 100
  findings.source_hits[0] = 89;
  const Refusal refusal = the(Guard::match_rate);
  EXPECT_DOUBLE_EQ(refusal.value, 0.89);
  EXPECT_DOUBLE_EQ(refusal.limit, 0.9);
  EXPECT_THAT(refusal.message, HasSubstr("89 of 100 references of 'main'"));
}

TEST_F(JudgeTest, match_rate_refuses_by_default_below_half) {
  findings.source_hits[1] = 50;
  EXPECT_THAT(refused(), IsEmpty());
  findings.source_hits[1] = 49;
  EXPECT_DOUBLE_EQ(the(Guard::match_rate).value, 0.49);
}

// The trap of the old task: s3:// values against plain keys make every object an orphan.
TEST_F(JudgeTest, match_rate_refuses_a_mapping_that_hits_nothing) {
  findings.source_hits[0] = 0;
  EXPECT_EQ(the(Guard::match_rate).value, 0);
}

TEST_F(JudgeTest, orphan_ratio) {
  findings.figures.due_objects = 500;
  EXPECT_THAT(refused(), IsEmpty());
  findings.figures.due_objects = 501;
  const Refusal refusal = the(Guard::orphan_ratio);
  EXPECT_DOUBLE_EQ(refusal.value, 0.501);
  EXPECT_DOUBLE_EQ(refusal.limit, 0.5);
  EXPECT_THAT(refusal.message, HasSubstr("501 of 1,000 objects"));
  policy.guards.max_orphan_ratio = 0.501;
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(JudgeTest, orphan_ratio_counts_objects_in_grace_if_grace_is_ignored) {
  findings.figures.due_objects = 494;
  EXPECT_THAT(refused(), IsEmpty());
  selection.grace = Selection::Grace::ignore;
  EXPECT_DOUBLE_EQ(the(Guard::orphan_ratio).value, 0.501);
}

// A limit must not be the way around: the oldest ten of a bucket that seems to hold orphans only are no less wrong.
TEST_F(JudgeTest, orphan_ratio_is_judged_before_the_limit) {
  findings.figures.due_objects = 900;
  selection.limit = 10;
  EXPECT_EQ(the(Guard::orphan_ratio).value, 0.9);
}

TEST_F(JudgeTest, an_empty_bucket_has_no_ratio) {
  findings.figures = {};
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(JudgeTest, unreferenced_class_names_each) {
  findings.unreferenced_classes = {{"a/*.json", 1000}, {"b/*", 2500}};
  const auto refusals = judge();
  EXPECT_THAT(names_of(refusals), ElementsAre("unreferenced_class", "unreferenced_class"));
  EXPECT_EQ(refusals[0].value, 1000);
  EXPECT_EQ(refusals[0].limit, 1000);
  EXPECT_THAT(refusals[0].message, HasSubstr("1,000 objects 'a/*.json'"));
  EXPECT_EQ(refusals[1].value, 2500);
}

TEST_F(JudgeTest, max_deletes) {
  policy.guards.max_deletes = 10;
  EXPECT_THAT(refused(), IsEmpty());
  findings.figures.due_objects = 11;
  const Refusal refusal = the(Guard::max_deletes);
  EXPECT_EQ(refusal.value, 11);
  EXPECT_EQ(refusal.limit, 10);
  EXPECT_THAT(refusal.message, HasSubstr("11 objects"));
  selection.limit = 10;
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(JudgeTest, max_bytes) {
  policy.guards.max_bytes = 1000;
  EXPECT_THAT(refused(), IsEmpty());
  findings.figures.due_bytes = 1001;
  const Refusal refusal = the(Guard::max_bytes);
  EXPECT_EQ(refusal.value, 1001);
  EXPECT_EQ(refusal.limit, 1000);
  findings.figures.due_bytes = 1000;
  selection.grace = Selection::Grace::ignore;
  EXPECT_EQ(the(Guard::max_bytes).value, 1700);
  planned_bytes = 1000;
  EXPECT_THAT(refused(), IsEmpty());
  planned_bytes = 1001;
  EXPECT_EQ(the(Guard::max_bytes).value, 1001);
}

TEST_F(JudgeTest, max_deletes_and_max_bytes_are_off_by_default) {
  findings.figures.total_objects = 1ULL << 40;
  findings.figures.due_objects = 1ULL << 30;
  findings.figures.due_bytes = 1ULL << 60;
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(JudgeTest, unmapped_references) {
  findings.figures.unmapped_references = 1;
  findings.sources[1].unmapped_examples = {"'gopher://x' (another scheme)"};
  const Refusal refusal = the(Guard::unmapped_references);
  EXPECT_EQ(refusal.value, 1);
  EXPECT_EQ(refusal.limit, 0);
  EXPECT_THAT(refusal.message, HasSubstr("gopher://x"));
  policy.guards.max_unmapped = 1;
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(JudgeTest, near_miss) {
  findings.figures.near_misses = 10;
  findings.near_miss_examples = {"S/1.npy"};
  EXPECT_THAT(refused(), IsEmpty());
  findings.figures.near_misses = 11;
  const Refusal refusal = the(Guard::near_miss);
  EXPECT_EQ(refusal.value, 11);
  EXPECT_EQ(refusal.limit, 10);
  EXPECT_THAT(refusal.message, HasSubstr("S/1.npy"));
  findings.near_miss_examples.clear();
  EXPECT_EQ(the(Guard::near_miss).value, 11);
}

TEST_F(JudgeTest, partial_query) {
  findings.sources[0].partial = "LIMIT in the query";
  const Refusal refusal = the(Guard::partial_query);
  EXPECT_EQ(refusal.value, 1);
  EXPECT_EQ(refusal.limit, 0);
  EXPECT_THAT(refusal.message, HasSubstr("LIMIT in the query"));
}

TEST_F(JudgeTest, stale_list) {
  findings.sources[1].as_of = now - 24h;
  EXPECT_THAT(refused(), IsEmpty());
  findings.sources[1].as_of = now - 24h - 1s;
  const Refusal refusal = the(Guard::stale_list);
  EXPECT_EQ(refusal.value, 86401);
  EXPECT_EQ(refusal.limit, 86400);
  EXPECT_THAT(refusal.message, HasSubstr("'list'"));
  policy.sources[1].max_list_age = 25h;
  EXPECT_THAT(refused(), IsEmpty());
  findings.sources[1].as_of = now + 5min;
  EXPECT_THAT(refused(), IsEmpty());
  findings.sources[1].as_of = now + 5min + 1s;
  EXPECT_THAT(the(Guard::stale_list).message, HasSubstr("from now")) << "else it would never be stale";
}

TEST_F(JudgeTest, clock_skew_either_way) {
  for (int sign : {1, -1}) {
    clock_skew = sign * 5min;
    EXPECT_THAT(refused(), IsEmpty());
    clock_skew = sign * (5min + 1s);
    const Refusal refusal = the(Guard::clock_skew);
    EXPECT_EQ(refusal.value, 301);
    EXPECT_EQ(refusal.limit, 300);
  }
}

TEST_F(JudgeTest, identity_changed_for_each_part_of_it) {
  set_baseline();
  const auto refusal_with = [&](auto change) {
    const SourceFacts facts = findings.sources[0];
    change();
    const Refusal refusal = the(Guard::identity_changed);
    EXPECT_EQ(refusal.value, 1);
    EXPECT_EQ(refusal.limit, 0);
    findings.sources[0] = facts;
    findings.bucket_identity = "store:raw";
    return refusal.message;
  };
  SourceIdentity& identity = findings.sources[0].identity;
  EXPECT_THAT(refusal_with([&] { identity.database = "another"; }), HasSubstr("another database"));
  EXPECT_THAT(refusal_with([&] { identity.relations = "a"; }), HasSubstr("other tables"));
  EXPECT_THAT(refusal_with([&] { identity.position = 49; }), HasSubstr("older state"));
  EXPECT_THAT(refusal_with([&] { findings.bucket_identity = "store:new"; }), HasSubstr("another bucket"));
  identity.position = 51;
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(JudgeTest, identity_changed_if_a_source_is_gone_from_the_configuration) {
  set_baseline();
  findings.sources.pop_back();
  findings.source_hits.pop_back();
  policy.sources.pop_back();
  EXPECT_THAT(the(Guard::identity_changed).message, HasSubstr("'list'"));
}

TEST_F(JudgeTest, a_further_source_needs_no_baseline) {
  set_baseline();
  baseline->sources.erase(baseline->sources.begin());
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(JudgeTest, reports_every_refusal_in_the_order_of_the_table) {
  set_baseline();
  findings.bucket_identity = "other";
  findings.sources[0].partial = "LIMIT";
  findings.sources[0].as_of = now - 25h;
  findings.sources[0].rows = 10;
  findings.sources[0].distinct_keys = 0;
  findings.source_hits[1] = 1;
  findings.figures.unmapped_references = 1;
  findings.figures.near_misses = 11;
  findings.figures.due_objects = 900;
  findings.unreferenced_classes = {{"a/*", 1000}};
  policy.guards.max_deletes = 1;
  policy.guards.max_bytes = 1;
  clock_skew = 1h;
  std::vector<std::string> all(kGuardNames.begin(), kGuardNames.end());
  all.pop_back();  // recheck_blind: nothing is rechecked yet
  EXPECT_EQ(refused(), all);
}

TEST_F(JudgeTest, a_baseline_holds_what_is_compared) {
  const Baseline made = baseline_of(findings, now);
  EXPECT_EQ(made.bucket_identity, "store:raw");
  EXPECT_EQ(made.recorded_at, now);
  ASSERT_EQ(made.sources.size(), 2U);
  EXPECT_EQ(made.sources[0], (Baseline::Source{"main", findings.sources[0].identity, 100}));
}

// What apply judges again, against the plan.
TEST_F(JudgeTest, again_accepts_the_same_facts) {
  EXPECT_THAT(judge_source_again("raw", policy.sources[0], policy.guards, findings.sources[0], findings.sources[0], now), IsEmpty());
}

TEST_F(JudgeTest, again_refuses_what_changed_since_the_plan) {
  const auto again = [&](auto change) {
    SourceFacts seen = findings.sources[0];
    change(seen);
    return names_of(judge_source_again("raw", policy.sources[0], policy.guards, findings.sources[0], seen, now));
  };
  EXPECT_THAT(again([](SourceFacts& f) { f.identity.database = "x"; }), ElementsAre("identity_changed"));
  EXPECT_THAT(again([](SourceFacts& f) { f.identity.relations = "x"; }), ElementsAre("identity_changed"));
  EXPECT_THAT(again([](SourceFacts& f) { f.identity.position = 49; }), ElementsAre("identity_changed"));
  EXPECT_THAT(again([](SourceFacts& f) { f.identity.position = 51; }), IsEmpty());
  EXPECT_THAT(again([&](SourceFacts& f) { f.as_of = now - 25h; }), ElementsAre("stale_list"));
  EXPECT_THAT(again([](SourceFacts& f) { f.rows = 90; }), IsEmpty());
  EXPECT_THAT(again([](SourceFacts& f) { f.rows = 89; }), ElementsAre("references_fell"));
  EXPECT_THAT(again([](SourceFacts& f) { f.distinct_keys = 0; }), ElementsAre("no_references"));
  EXPECT_THAT(again([&](SourceFacts& f) { f.distinct_keys = findings.sources[0].distinct_keys = 0; }), IsEmpty())
      << "the plan was accepted without any";
  EXPECT_THAT(again([](SourceFacts& f) { f.rows = 10, f.distinct_keys = 0; }), ElementsAre("no_references", "references_fell"));
}

TEST(ClockStep, sees_the_wall_clock_step_against_the_boot_clock) {
  FakeClock clock;
  EXPECT_EQ(clock_step(std::nullopt, clock), 0ns);
  const ClockAnchor anchor{clock.boot_id(), clock.boot_now(), clock.now()};
  clock.advance(10h);
  EXPECT_EQ(clock_step(anchor, clock), 0ns);
  clock.set_now(clock.now() + 6min);
  EXPECT_EQ(clock_step(anchor, clock), 6min);
  clock.set_now(clock.now() - 13min);
  EXPECT_EQ(clock_step(anchor, clock), -7min);
}

TEST(ClockStep, sees_only_a_step_back_after_a_reboot) {
  FakeClock clock;
  const ClockAnchor anchor{clock.boot_id(), clock.boot_now(), clock.now()};
  clock.set_boot_id("next");
  clock.set_boot({0s});
  clock.set_now(anchor.wall + 100h);
  EXPECT_EQ(clock_step(anchor, clock), 0ns);
  clock.set_now(anchor.wall - 1h);
  EXPECT_EQ(clock_step(anchor, clock), -1h);
}

}  // namespace
}  // namespace heimdall
