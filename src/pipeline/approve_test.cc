#include "pipeline/approve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <type_traits>

#include "pipeline/sweep/sweep.h"
#include "pipeline/test_support.h"

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using testing::TestBucket;
using ::testing::HasSubstr;

// The one-way flow as types: whoever wants to sweep needs an ApprovedPlan, and only approve() makes one.
static_assert(!std::is_default_constructible_v<ApprovedPlan>);
static_assert(!std::is_constructible_v<ApprovedPlan, Plan>);
static_assert(!std::is_constructible_v<ApprovedPlan, const Plan&>);
static_assert(!std::is_convertible_v<Plan, ApprovedPlan>);
static_assert(!std::is_default_constructible_v<Plan>);
template <class P>
constexpr bool kCanSweep = std::is_invocable_v<decltype(&sweep), const P&, std::size_t, const SweepTarget&, JournalLog&, Clock&,
                                               const SweepOptions&, Progress&, std::stop_token>;
static_assert(kCanSweep<ApprovedPlan>);
static_assert(!kCanSweep<Plan>);
// Planning gets a store that has no delete.
static_assert(!std::is_convertible_v<ObjectReader&, ObjectStore&>);
template <class Store>
concept CanRemove = requires(Store& store, std::span<const ObjectMeta> objects, const SendGate& gate) { store.remove(objects, gate); };
static_assert(CanRemove<ObjectStore> && !CanRemove<ObjectReader>);

class Approve : public ::testing::Test {
 protected:
  Approve() {
    bucket.policy.grace = 0ms;
    bucket.add_source({"x"});
    bucket.put_old("a");
  }
  Plan plan() {
    auto findings = bucket.scan();
    EXPECT_TRUE(findings);
    auto made = testing::plan_of(bucket, *findings);
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  Limits limits() const { return {bucket.clock.now(), {&bucket.policy, 1}, std::nullopt}; }

  // The code and a part of the message with which approve() refuses.
  void expect_refused(Plan made, const Limits& limits, ErrorCode code, const std::string& why) {
    const auto approved = approve(std::move(made), limits);
    ASSERT_FALSE(approved);
    EXPECT_EQ(approved.error().code, code);
    EXPECT_THAT(approved.error().message, HasSubstr(why));
    EXPECT_FALSE(approved.error().hint.empty());
  }

  TestBucket bucket;
};

TEST_F(Approve, lets_a_fresh_plan_pass) {
  const Plan made = plan();
  const auto approved = approve(made, limits());
  ASSERT_TRUE(approved) << approved.error().message;
  EXPECT_EQ(approved->plan().digest(), made.digest());
}

TEST_F(Approve, a_plan_lives_24_hours_from_its_cutoff) {
  const Plan made = plan();
  bucket.clock.advance(24h);
  EXPECT_TRUE(approve(made, limits()));
  bucket.clock.advance(1ns);
  expect_refused(made, limits(), ErrorCode::failed_precondition, "expired");
}

TEST_F(Approve, a_plan_from_the_future_is_refused_beyond_the_skew_that_clocks_may_have) {
  const Plan made = plan();
  bucket.clock.advance(-5min);
  EXPECT_TRUE(approve(made, limits()));
  bucket.clock.advance(-1ns);
  expect_refused(made, limits(), ErrorCode::failed_precondition, "in the future");
}

TEST_F(Approve, a_plan_works_once) {
  Limits used = limits();
  used.used_by = "run-7";
  expect_refused(plan(), used, ErrorCode::failed_precondition, "by run run-7");
}

TEST_F(Approve, a_plan_made_under_another_policy_is_stale) {
  const Plan made = plan();
  bucket.policy.digest = "policy-digest-2";
  expect_refused(made, limits(), ErrorCode::failed_precondition, "configuration of bucket 'raw' has changed");
}

TEST_F(Approve, a_bucket_in_mode_report_loses_nothing) {
  const Plan made = plan();
  bucket.policy.mode = Mode::report;
  expect_refused(made, limits(), ErrorCode::not_approved, "mode: report");
}

TEST_F(Approve, a_bucket_in_mode_report_that_loses_nothing_is_in_nobodys_way) {
  bucket.store.erase("a");
  const Plan made = plan();
  bucket.policy.mode = Mode::report;
  EXPECT_TRUE(approve(made, limits()));
}

TEST_F(Approve, a_bucket_that_is_not_configured_loses_nothing) {
  const Plan made = plan();
  bucket.policy.name = "renamed";
  expect_refused(made, limits(), ErrorCode::failed_precondition, "'raw'");
  Limits none = limits();
  none.policies = {};
  expect_refused(made, none, ErrorCode::failed_precondition, "'raw'");
}

TEST_F(Approve, every_bucket_of_the_plan_must_be_allowed) {
  TestBucket other;
  other.policy.name = "audio";
  other.policy.grace = 0ms;
  other.add_source({"x"});
  other.put_old("b");
  auto first = bucket.scan();
  auto second = other.scan();
  const Findings* findings[] = {&*first, &*second};
  const BucketPolicy* policies[] = {&bucket.policy, &other.policy};
  const auto made = write_plan(bucket.dir.path() / "both", findings, policies, {"run-1", {}, {}});
  ASSERT_TRUE(made);
  BucketPolicy both[] = {other.policy, bucket.policy};
  Limits limits{bucket.clock.now(), both, std::nullopt};
  EXPECT_TRUE(approve(*made, limits));
  both[0].mode = Mode::report;
  expect_refused(*made, limits, ErrorCode::not_approved, "'audio'");
}

}  // namespace
}  // namespace heimdall
