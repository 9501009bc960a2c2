#include "pipeline/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "pipeline/test_support.h"

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using testing::candidates_of;
using testing::Days;
using testing::due_keys;
using testing::plan_of;
using testing::TestBucket;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A bucket "raw" without grace.
class PlanTest : public ::testing::Test {
 protected:
  PlanTest() {
    bucket.policy.grace = 0ms;
    bucket.add_source({"x"});
  }

  Findings scan() {
    auto findings = bucket.scan();
    EXPECT_TRUE(findings);
    return std::move(*findings);
  }
  Plan plan(const Selection& selection = {}) {
    auto made = plan_of(bucket, scan(), selection);
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }

  TestBucket bucket;
};

TEST_F(PlanTest, holds_the_due_objects_in_key_order_and_its_evidence) {
  bucket.put_old("b", 20);
  bucket.put_old("a", 10);
  bucket.put_old("x", 5);
  bucket.put_old("young", 1, Days(1));
  const Findings findings = scan();
  const auto made = plan_of(bucket, findings);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_THAT(candidates_of(*made), ElementsAre("a", "b"));
  EXPECT_EQ(made->candidates(), 2U);
  EXPECT_EQ(made->run_id(), "run-1");
  EXPECT_EQ(made->created(), bucket.clock.now());
  EXPECT_EQ(made->expires(), bucket.clock.now() + 24h);
  EXPECT_EQ(made->grace(), Selection::Grace::respect);
  EXPECT_EQ(made->digest().size(), 64U);
  ASSERT_EQ(made->buckets().size(), 1U);
  const BucketPlan& head = made->buckets()[0];
  EXPECT_EQ(head.bucket, "raw");
  EXPECT_EQ(head.bucket_identity, "fake:1");
  EXPECT_EQ(head.policy_digest, "policy-digest-1");
  EXPECT_EQ(head.started, findings.started);
  EXPECT_EQ(head.min_age, Days(30));
  EXPECT_EQ(head.figures, findings.figures);
  EXPECT_EQ(head.candidate_bytes, 30U);
  ASSERT_EQ(head.sources.size(), 1U);
  EXPECT_EQ(head.sources[0].controls, findings.sources[0].controls);
}

// Invariant 2: what was not listed is no part of the plan, and the plan says that there is such a part.
TEST_F(PlanTest, says_how_many_ranges_were_not_listed) {
  bucket.put_old("a");
  Findings findings = scan();
  EXPECT_EQ(plan_of(bucket, findings)->buckets()[0].unlisted_ranges, 0U);
  EXPECT_EQ(plan_of(bucket, findings)->buckets()[0].ranges, findings.ranges);
  findings.failures.push_back({ListRange{"b/", "", ""}, Error{ErrorCode::unavailable, "no answer"}});
  EXPECT_EQ(plan_of(bucket, findings)->buckets()[0].unlisted_ranges, 1U);
}

// Invariant 5: what the sweep compares with is exactly what was listed.
TEST_F(PlanTest, remembers_each_object_exactly) {
  const ObjectMeta object = bucket.store.put_at("k\n\xff\xfe", 1ULL << 40, Timestamp(123456789ns));
  std::vector<ObjectMeta> planned;
  ASSERT_TRUE(plan().for_each([&](const BucketPlan&, const Candidate& candidate) -> Result<void> {
    planned.push_back(candidate.object);
    return {};
  }));
  EXPECT_THAT(planned, ElementsAre(object));
}

TEST_F(PlanTest, without_candidates_is_a_plan) {
  const Plan empty = plan();
  EXPECT_EQ(empty.candidates(), 0U);
  EXPECT_THAT(candidates_of(empty), IsEmpty());
}

TEST_F(PlanTest, takes_objects_in_grace_only_if_grace_is_ignored) {
  bucket.policy.grace = 72h;
  bucket.put_old("seen long ago");
  bucket.keep_ledger(scan());
  bucket.clock.advance(Days(4));
  bucket.put_old("seen today");
  bucket.put_old("young", 1, Days(1));
  EXPECT_THAT(candidates_of(plan()), ElementsAre("seen long ago"));
  const Plan ignoring = plan({Selection::Grace::ignore, std::nullopt});
  EXPECT_THAT(candidates_of(ignoring), ElementsAre("seen long ago", "seen today"));
  EXPECT_EQ(ignoring.grace(), Selection::Grace::ignore);
}

TEST_F(PlanTest, a_limit_takes_the_oldest) {
  for (int i = 0; i < 10; ++i) bucket.put_old("k" + std::to_string(i), 1, Days(40 + (i * 7) % 10));
  const Plan made = plan({Selection::Grace::respect, 3});
  // Ages 40, 47, 44, 41, 48, 45, 42, 49, 46, 43.
  EXPECT_THAT(candidates_of(made), ElementsAre("k1", "k4", "k7"));
  EXPECT_EQ(made.candidates(), 3U);
  EXPECT_EQ(made.buckets()[0].candidate_bytes, 3U);
}

TEST_F(PlanTest, a_limit_takes_exactly_so_many_of_one_date) {
  for (int i = 0; i < 6; ++i) bucket.put_old("k" + std::to_string(i), 1, Days(50));
  bucket.put_old("oldest", 1, Days(60));
  bucket.put_old("newest", 1, Days(40));
  for (std::uint64_t limit = 0; limit <= 9; ++limit) {
    const Plan made = plan({Selection::Grace::respect, limit});
    const auto keys = candidates_of(made);
    EXPECT_EQ(keys.size(), std::min<std::uint64_t>(limit, 8));
    EXPECT_EQ(made.candidates(), keys.size());
    EXPECT_EQ(std::ranges::count(keys, "oldest"), limit >= 1 ? 1 : 0);
    EXPECT_EQ(std::ranges::count(keys, "newest"), limit >= 8 ? 1 : 0);
  }
}

RC_GTEST_PROP(PlanLimit, takes_what_sorting_by_age_takes, ()) {
  TestBucket bucket;
  bucket.policy.grace = 0ms;
  bucket.add_source({"x"});
  const auto ages = *rc::gen::container<std::vector<int>>(rc::gen::inRange(31, 40));
  std::multiset<int, std::greater<>> sorted(ages.begin(), ages.end());
  for (std::size_t i = 0; i < ages.size(); ++i) bucket.put_old("k" + std::to_string(i), 1, Days(ages[i]));
  const auto limit = static_cast<std::uint64_t>(*rc::gen::inRange(0, 30));
  const auto findings = bucket.scan();
  RC_ASSERT(findings.has_value());
  const auto plan = plan_of(bucket, *findings, {Selection::Grace::respect, limit});
  RC_ASSERT(plan.has_value());
  std::multiset<int, std::greater<>> taken;
  for (const std::string& key : candidates_of(*plan)) taken.insert(ages.at(std::stoul(key.substr(1))));
  auto end = sorted.begin();
  std::advance(end, static_cast<std::ptrdiff_t>(std::min<std::size_t>(limit, sorted.size())));
  RC_ASSERT((taken == std::multiset<int, std::greater<>>(sorted.begin(), end)));
}

TEST_F(PlanTest, holds_several_buckets_each_with_its_own_candidates) {
  TestBucket other;
  other.policy.name = "audio";
  other.policy.digest = "policy-digest-2";
  other.policy.grace = 0ms;
  other.add_source({"x"});
  bucket.put_old("a");
  bucket.put_old("b");
  other.clock.advance(-1h);
  other.put_old("a");
  TestBucket empty;
  empty.policy.name = "empty";
  empty.add_source({"x"});
  const Findings first = scan();
  const auto second = empty.scan();
  const auto third = other.scan();
  const Findings* findings[] = {&first, &*second, &*third};
  const BucketPolicy* policies[] = {&bucket.policy, &empty.policy, &other.policy};
  const auto made = write_plan(bucket.dir.path() / "plan", findings, policies, {"run-1", {}, {Guard::orphan_ratio, Guard::near_miss}});
  ASSERT_TRUE(made) << made.error().message;
  std::vector<std::pair<std::string, std::string>> seen;
  ASSERT_TRUE(made->for_each([&](const BucketPlan& head, const Candidate& candidate) -> Result<void> {
    seen.emplace_back(head.bucket, candidate.object.key.bytes());
    return {};
  }));
  EXPECT_THAT(seen, ElementsAre(std::pair("raw", "a"), std::pair("raw", "b"), std::pair("audio", "a")));
  EXPECT_THAT(made->accepted(), ElementsAre(Guard::orphan_ratio, Guard::near_miss));
  EXPECT_EQ(made->created(), third->started) << "the earliest cutoff decides when it expires";
  EXPECT_EQ(made->buckets()[1].candidates, 0U);
}

TEST_F(PlanTest, for_each_stops_at_the_first_error) {
  bucket.put_old("a");
  bucket.put_old("b");
  int calls = 0;
  const auto read = plan().for_each([&](const BucketPlan&, const Candidate&) -> Result<void> {
    ++calls;
    return Error{ErrorCode::cancelled, "enough"};
  });
  EXPECT_EQ(read.error().code, ErrorCode::cancelled);
  EXPECT_EQ(calls, 1);
}

// A plan that was cut or altered is no plan.
TEST_F(PlanTest, is_corrupt_wherever_it_is_cut) {
  bucket.put_old("a");
  bucket.put_old("b");
  const std::string whole = testing::content_of(plan().path());
  const auto path = bucket.dir.path() / "cut";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    testing::write_file(path, whole.substr(0, size));
    const auto made = Plan::open(path);
    ASSERT_FALSE(made) << size;
    ASSERT_EQ(made.error().code, ErrorCode::corrupt) << size;
  }
  testing::write_file(path, whole + '\0');
  EXPECT_EQ(Plan::open(path).error().code, ErrorCode::corrupt);
}

TEST_F(PlanTest, is_corrupt_wherever_it_is_altered) {
  bucket.put_old("a");
  bucket.put_old("b");
  const std::string whole = testing::content_of(plan().path());
  const auto path = bucket.dir.path() / "altered";
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (unsigned bit : {1U, 128U}) {
      std::string altered = whole;
      altered[at] = static_cast<char>(static_cast<unsigned char>(altered[at]) ^ bit);
      testing::write_file(path, altered);
      const auto made = Plan::open(path);
      ASSERT_FALSE(made) << at;
      ASSERT_EQ(made.error().code, ErrorCode::corrupt) << at;
    }
  }
}

// A sealed file of the right kind whose records make no plan.
TEST_F(PlanTest, is_corrupt_if_its_records_make_no_sense) {
  bucket.put_old("a");
  const Plan made = plan();
  std::vector<std::string> records;
  auto reader = RecordReader::open(made.path(), kPlanKind, kPlanVersion);
  for (;;) {
    const auto record = reader->next();
    ASSERT_TRUE(record);
    if (!*record) break;
    records.emplace_back(**record);
  }
  ASSERT_EQ(records.size(), 3U);  // head, bucket, candidate
  const auto& [head, one, candidate] = std::tie(records[0], records[1], records[2]);
  const std::vector<std::vector<std::string>> wrong = {
      {},          {head},           {one, candidate},           {head, candidate},
      {head, one}, {head, head, one, candidate}, {head, one, candidate, candidate}, {head, one, one, candidate},
      {head, one, candidate, "\x09"}, {head, one + "x", candidate}, {head + "x", one, candidate}};
  for (const auto& content : wrong) {
    const auto path = bucket.dir.path() / "wrong";
    auto writer = RecordWriter::create(path, kPlanKind, kPlanVersion);
    for (const std::string& record : content) ASSERT_TRUE(writer->add(record));
    ASSERT_TRUE(writer->seal());
    const auto opened = Plan::open(path);
    ASSERT_FALSE(opened) << content.size();
    EXPECT_EQ(opened.error().code, ErrorCode::corrupt);
  }
}

TEST_F(PlanTest, a_missing_plan_is_not_found_and_another_file_is_corrupt) {
  EXPECT_EQ(Plan::open(bucket.dir.path() / "none").error().code, ErrorCode::not_found);
  testing::write_file(bucket.dir.path() / "text", "this is a text that is longer than a header\n");
  EXPECT_EQ(Plan::open(bucket.dir.path() / "text").error().code, ErrorCode::corrupt);
}

// Invariant 5: the candidates are read again after the approval; what was approved is what is read, or nothing is.
TEST_F(PlanTest, hands_out_nothing_of_a_file_that_was_replaced_since) {
  bucket.put_old("a");
  const Plan made = plan();
  bucket.put_old("b");
  const auto other = plan_of(bucket, scan(), {}, "other");
  ASSERT_TRUE(other);
  std::filesystem::rename(other->path(), made.path());
  int calls = 0;
  const auto read = made.for_each([&](const BucketPlan&, const Candidate&) -> Result<void> {
    ++calls;
    return {};
  });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::corrupt);
  EXPECT_EQ(calls, 0);
}

TEST_F(PlanTest, leaves_no_file_if_its_candidates_cannot_be_read) {
  bucket.put_old("a");
  const Findings findings = scan();
  std::filesystem::resize_file(findings.orphans.path(), std::filesystem::file_size(findings.orphans.path()) - 1);
  const auto before = bucket.dir.files();
  EXPECT_FALSE(plan_of(bucket, findings));
  EXPECT_EQ(bucket.dir.files(), before);
}

TEST_F(PlanTest, of_the_same_findings_has_the_same_digest) {
  bucket.put_old("a");
  const Findings findings = scan();
  const auto first = plan_of(bucket, findings, {}, "first");
  const auto second = plan_of(bucket, findings, {}, "second");
  EXPECT_EQ(first->digest(), second->digest());
  bucket.policy.digest = "another";
  EXPECT_NE(plan_of(bucket, findings, {}, "third")->digest(), first->digest());
}

TEST(PlanReason, tells_age_and_grace) {
  BucketPlan bucket;
  bucket.started = Timestamp(Days(100));
  bucket.min_age = Days(30);
  bucket.grace = 72h;
  Candidate candidate;
  candidate.object.last_modified = Timestamp(Days(60));
  candidate.first_seen = Timestamp(Days(90));
  EXPECT_THAT(reason_of(bucket, candidate), ::testing::AllOf(HasSubstr("no reference names it"), HasSubstr("min_age 30d"),
                                                             ::testing::Not(HasSubstr("ignored"))));
  candidate.first_seen = bucket.started;
  EXPECT_THAT(reason_of(bucket, candidate), HasSubstr("for the first time, grace 3d ignored"));
}

}  // namespace
}  // namespace heimdall
