#include "pipeline/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "pipeline/test_support.h"
#include "testing/faulty_source.h"
#include "testing/faulty_store.h"

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using testing::Days;
using testing::FaultySource;
using testing::FaultyStore;
using testing::SourceFault;
using testing::StoreFault;
using testing::TestBucket;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

Result<Explanation> explain(TestBucket& bucket, const std::string& key) {
  return heimdall::explain(bucket.store, bucket.bindings(), bucket.policy, bucket.ledger(), key, {});
}

class Explain : public ::testing::Test {
 protected:
  void expect(const std::string& key, const std::string& verdict, const std::vector<std::string>& sentences) {
    const auto explanation = explain(bucket, key);
    ASSERT_TRUE(explanation) << explanation.error().message;
    EXPECT_EQ(explanation->bucket, "raw");
    EXPECT_EQ(explanation->key, key);
    EXPECT_EQ(explanation->verdict, verdict);
    for (const std::string& part : sentences) EXPECT_THAT(explanation->reasons, Contains(HasSubstr(part)));
    for (const std::string& reason : explanation->reasons) EXPECT_TRUE(reason.ends_with('.')) << reason;
  }
  void observe() {
    auto findings = bucket.scan();
    ASSERT_TRUE(findings);
    bucket.keep_ledger(*findings);
  }

  TestBucket bucket;
};

TEST_F(Explain, names_the_rows_that_name_the_object) {
  bucket.add_source({"/s/1.npy", "s3://raw/s/1.npy", "s/2.npy"});
  bucket.add_source({"other"});
  bucket.put_old("s/1.npy");
  expect("s/1.npy", "referenced",
         {"References 'source 0': 2 of 3 rows name it: '/s/1.npy' (", "'s3://raw/s/1.npy' (",
          "References 'source 1': none of 1 row names it.", "90 d", "It is referenced"});
}

TEST_F(Explain, names_companions_and_folders) {
  bucket.add_source({"s/1.npy"});
  bucket.policy.sources[0].mapping.companions = {*CompanionTemplate::parse("{key}.sha256")};
  bucket.add_source({"t"}, KeyForm::prefix);
  bucket.put_old("s/1.npy.sha256");
  bucket.put_old("t/1");
  expect("s/1.npy.sha256", "referenced", {"'s/1.npy' (a companion or further meaning)"});
  expect("t/1", "referenced", {"'t' (the object lies below it)"});
}

TEST_F(Explain, an_absent_object_is_absent_even_if_rows_name_it) {
  bucket.add_source({"gone"});
  expect("gone", "absent", {"There is no such object", "1 of 1 row names it"});
  expect("never", "absent", {"There is no such object", "none of 1 row names it"});
}

TEST_F(Explain, says_what_protects) {
  bucket.add_source({"S/near", "x"});
  bucket.policy.protect = {Glob("keep/**")};
  bucket.policy.prefixes = {"folder/", "keep/", "s/", "S/"};
  bucket.put_old("keep/a");
  bucket.put_old("folder/", 0);
  bucket.store.put_at("s/undated", 1, std::nullopt);
  bucket.put_old("s/near");
  bucket.put_old("outside");
  expect("keep/a", "protected", {"The pattern 'keep/**' protects it."});
  expect("folder/", "protected", {"folder marker"});
  expect("s/undated", "protected", {"unknown means keep", "at a time that the store cannot tell"});
  expect("s/near", "protected", {"A row names 'S/near', which does not exist"});
  expect("outside", "protected", {"outside the prefixes"});
  bucket.policy.prefixes = {""};
  bucket.put_old(".heimdall-storage/probe");
  expect(".heimdall-storage/probe", "protected", {"our own files"});
}

TEST_F(Explain, a_near_miss_of_a_row_that_names_an_object_protects_nothing) {
  bucket.policy.grace = 0ms;
  bucket.add_source({"S/near"});
  bucket.put_old("s/near");
  bucket.put_old("S/near");
  expect("s/near", "due", {});
}

// However often a row that names an object is repeated, the one that dangles is found.
TEST_F(Explain, finds_the_near_miss_behind_many_rows_of_one_spelling) {
  auto& source = bucket.add_source(std::vector<std::string>(100, "S/near"));
  source.add("s/NEAR");
  bucket.put_old("S/near");
  bucket.put_old("s/near");
  expect("s/near", "protected", {"A row names 's/NEAR'"});
}

TEST_F(Explain, says_what_is_young) {
  bucket.add_source({"x"});
  bucket.put_old("young", 1, Days(1));
  expect("young", "young", {"younger than min_age 30d"});
  bucket.put_old("old");
  bucket.sources[0].data().as_of = bucket.clock.now() - Days(100);
  expect("old", "young", {"a list of keys"});
}

TEST_F(Explain, follows_grace) {
  bucket.add_source({"x"});
  bucket.put_old("orphan");
  expect("orphan", "in_grace", {"No complete scan has found it", "grace of 3d starts with the next scan"});
  observe();
  bucket.clock.advance(Days(2));
  expect("orphan", "in_grace", {"its grace of 3d ends"});
  bucket.clock.advance(Days(1));
  expect("orphan", "due", {"its grace of 3d ended", "the next plan takes it"});
  bucket.policy.mode = Mode::report;
  expect("orphan", "due", {"`mode: report`, so it is only reported"});
}

TEST_F(Explain, without_grace_an_orphan_is_due_at_once) {
  bucket.policy.grace = 0ms;
  bucket.add_source({"x"});
  bucket.put_old("orphan");
  expect("orphan", "due", {"No complete scan has found it"});
}

// As scan() does; but nothing is written here, so the damaged file stays where it is.
TEST_F(Explain, a_damaged_ledger_means_that_grace_starts_again) {
  bucket.add_source({"x"});
  bucket.put_old("orphan");
  observe();
  bucket.clock.advance(Days(9));
  testing::write_file(bucket.ledger(), testing::content_of(bucket.ledger()).substr(0, 40));
  expect("orphan", "in_grace", {"ledger", "starts with the next scan"});
  EXPECT_THAT(bucket.dir.files(), ::testing::ElementsAre("ledger"));
}

TEST_F(Explain, believes_no_rows_that_do_not_add_up) {
  bucket.add_source({});
  bucket.put_old("b");
  testing::ForgetfulSource source;
  const SourceBinding binding{&source, &bucket.policy.sources[0]};
  const auto explanation = heimdall::explain(bucket.store, {&binding, 1}, bucket.policy, bucket.ledger(), "b", {});
  ASSERT_FALSE(explanation);
  EXPECT_EQ(explanation.error().code, ErrorCode::corrupt);
}

// Invariant 2: an error is never read as absence.
TEST_F(Explain, passes_on_every_error) {
  bucket.add_source({"S/near"});
  bucket.put_old("s/near");
  for (SourceFault fault : {SourceFault::error, SourceFault::timeout_after_effect, SourceFault::truncated}) {
    FaultySource source(bucket.sources[0], {fault, 1, testing::SourceCall::read});
    const SourceBinding binding{&source, &bucket.policy.sources[0]};
    const auto explanation = heimdall::explain(bucket.store, {&binding, 1}, bucket.policy, bucket.ledger(), "s/near", {});
    ASSERT_FALSE(explanation);
    EXPECT_THAT(explanation.error().message, HasSubstr("'source 0'"));
  }
  for (std::uint64_t call = 1;; ++call) {
    FaultyStore store(bucket.store, {StoreFault::error, call});
    const auto explanation =
        heimdall::explain(store, bucket.bindings(), bucket.policy, bucket.ledger(), "s/near", {});
    if (!store.reached()) break;
    EXPECT_FALSE(explanation) << call;
  }
}

}  // namespace
}  // namespace heimdall
