#include "pipeline/listing/classify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/listing/ledger.h"
#include "pipeline/test_support.h"
#include "testing/faulty_store.h"

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using testing::Days;
using testing::due_keys;
using testing::orphans_of;
using testing::TestBucket;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class Classify : public ::testing::Test {
 protected:
  Findings scan() {
    auto findings = bucket.scan();
    if (!findings) {
      ADD_FAILURE() << findings.error().message;
      return {};
    }
    return std::move(*findings);
  }
  // A scan whose ledger is believed.
  void observe() { bucket.keep_ledger(scan()); }
  OrphanState state_of(const std::string& key) {
    const auto orphans = orphans_of(scan());
    const auto at = orphans.find(key);
    if (at != orphans.end()) return at->second.state;
    ADD_FAILURE() << key << " is no orphan";
    return OrphanState::young;
  }

  TestBucket bucket;
};

TEST_F(Classify, keeps_what_is_younger_than_min_age) {
  bucket.policy.grace = 0ms;
  bucket.add_source({"x"});
  bucket.put_old("young", 1, Days(30));
  bucket.put_old("old", 1, Days(30) + 1ns);
  const Findings findings = scan();
  EXPECT_THAT(orphans_of(findings, OrphanState::young), ElementsAre("young"));
  EXPECT_THAT(due_keys(findings), ElementsAre("old"));
  EXPECT_EQ(findings.figures.young_objects, 1U);
  EXPECT_EQ(findings.figures.due_objects, 1U);
}

// Invariant 3: an upload between snapshot and listing has its row in neither; it is young whatever min_age says.
TEST_F(Classify, keeps_what_is_newer_than_the_start_of_the_snapshot_whatever_min_age_says) {
  bucket.policy.grace = 0ms;
  bucket.policy.min_age = 0ms;
  bucket.add_source({"x"});
  bucket.store.put("before the start");
  bucket.clock.advance(1ns);
  bucket.store.put("at the start");
  bucket.sources[0].data().after_rows = [&] {
    bucket.clock.advance(1ns);
    bucket.store.put("uploaded meanwhile");
  };
  const Findings findings = scan();
  EXPECT_THAT(orphans_of(findings, OrphanState::young), ElementsAre("at the start", "uploaded meanwhile"));
  EXPECT_THAT(due_keys(findings), ElementsAre("before the start"));
}

TEST_F(Classify, keeps_what_is_newer_than_a_list) {
  bucket.policy.grace = 0ms;
  bucket.add_source({"x"});
  bucket.add_source({"y"});
  bucket.put_old("before", 1, Days(40) + 1ns);
  bucket.put_old("after", 1, Days(40));
  bucket.sources[1].data().as_of = bucket.clock.now() - Days(40);
  const Findings findings = scan();
  EXPECT_THAT(orphans_of(findings, OrphanState::young), ElementsAre("after"));
  EXPECT_THAT(due_keys(findings), ElementsAre("before"));
}

TEST_F(Classify, a_list_from_the_future_does_not_age_anything) {
  bucket.policy.grace = 0ms;
  bucket.add_source({"x"});
  bucket.put_old("young", 1, Days(1));
  bucket.sources[0].data().as_of = bucket.clock.now() + Days(400);
  EXPECT_EQ(state_of("young"), OrphanState::young);
}

TEST_F(Classify, an_orphan_is_in_grace_until_it_was_observed_long_enough) {
  bucket.add_source({"x"});
  bucket.put_old("orphan", 7);
  const Timestamp first_scan = bucket.clock.now();
  const Findings first = scan();
  EXPECT_THAT(orphans_of(first, OrphanState::in_grace), ElementsAre("orphan"));
  EXPECT_EQ(first.figures.in_grace_bytes, 7U);
  EXPECT_EQ(first.figures.grace_ends, first_scan + 72h);
  bucket.keep_ledger(first);
  bucket.clock.advance(72h - 1ns);
  EXPECT_EQ(state_of("orphan"), OrphanState::in_grace);
  observe();  // looking again does not start it again
  bucket.clock.advance(1ns);
  EXPECT_EQ(state_of("orphan"), OrphanState::due);
  EXPECT_EQ(orphans_of(scan()).at("orphan").first_seen, first_scan);
}

TEST_F(Classify, without_a_ledger_nothing_ends_its_grace) {
  bucket.add_source({"x"});
  bucket.put_old("orphan");
  for (int day = 0; day < 10; ++day) {
    EXPECT_EQ(state_of("orphan"), OrphanState::in_grace);
    bucket.clock.advance(Days(1));
  }
}

TEST_F(Classify, an_object_that_was_rewritten_starts_its_grace_again) {
  bucket.add_source({"x"});
  const ObjectMeta before = bucket.put_old("orphan", 5);
  bucket.put_old("untouched");
  observe();
  bucket.clock.advance(Days(4));
  // Same size, same date: only the ETag tells.
  bucket.store.put_at("orphan", 5, before.last_modified);
  EXPECT_EQ(state_of("orphan"), OrphanState::in_grace);
  EXPECT_EQ(state_of("untouched"), OrphanState::due);
}

TEST_F(Classify, an_object_that_was_referenced_for_a_while_starts_its_grace_again) {
  auto& source = bucket.add_source({"x"});
  bucket.put_old("orphan");
  observe();
  bucket.clock.advance(Days(2));
  source.add("orphan");
  observe();
  source.remove("orphan");
  bucket.clock.advance(Days(2));
  EXPECT_EQ(state_of("orphan"), OrphanState::in_grace);
}

TEST_F(Classify, grace_runs_while_an_orphan_is_young) {
  bucket.add_source({"x"});
  bucket.put_old("young", 1, Days(28));
  observe();
  bucket.clock.advance(Days(3));
  EXPECT_EQ(state_of("young"), OrphanState::due);
}

TEST_F(Classify, a_damaged_ledger_is_set_aside_and_grace_starts_again) {
  bucket.add_source({"x"});
  bucket.put_old("orphan");
  observe();
  bucket.clock.advance(Days(4));
  const std::string whole = testing::content_of(bucket.ledger());
  EXPECT_EQ(state_of("orphan"), OrphanState::due);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    for (const std::string& content : {damaged, whole.substr(0, at)}) {
      testing::write_file(bucket.ledger(), content);
      ASSERT_EQ(state_of("orphan"), OrphanState::in_grace) << at;
      ASSERT_EQ(testing::content_of(bucket.ledger().string() + ".damaged"), content);
      ASSERT_FALSE(std::filesystem::exists(bucket.ledger()));
    }
  }
}

TEST_F(Classify, a_ledger_that_cannot_be_read_fails_the_scan) {
  bucket.add_source({"x"});
  bucket.put_old("orphan");
  std::filesystem::create_directory(bucket.ledger());
  EXPECT_FALSE(bucket.scan());
  EXPECT_THAT(bucket.dir.files(), ElementsAre("ledger"));
}

// Else a scan that nobody believes (half of the rows missing) would start the clock of good objects.
TEST_F(Classify, a_refused_scan_does_not_age_orphans) {
  auto& source = bucket.add_source({"x", "good"});
  bucket.put_old("good");
  bucket.put_old("orphan");
  observe();
  source.remove("good");
  bucket.clock.advance(Days(1));
  bucket.keep_refused_ledger(scan());
  bucket.clock.advance(Days(3));
  EXPECT_EQ(state_of("good"), OrphanState::in_grace);
  EXPECT_EQ(state_of("orphan"), OrphanState::due) << "what good scans had seen is not forgotten";
}

TEST_F(Classify, a_refused_scan_still_forgets_what_is_no_orphan_any_more) {
  auto& source = bucket.add_source({"x"});
  bucket.put_old("orphan");
  observe();
  source.add("orphan");
  bucket.keep_refused_ledger(scan());
  source.remove("orphan");
  bucket.clock.advance(Days(4));
  EXPECT_EQ(state_of("orphan"), OrphanState::in_grace);
}

// Near misses: a row names something that does not exist and differs from the object only in its spelling.
struct Near {
  std::string name;
  std::string row;
  std::string key;
};
class NearMiss : public ::testing::TestWithParam<Near> {};

TEST_P(NearMiss, is_kept_and_counted) {
  TestBucket bucket;
  bucket.policy.grace = 0ms;
  bucket.add_source({GetParam().row}, KeyForm::key);
  bucket.put_old(GetParam().key, 3);
  const auto findings = bucket.scan();
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_THAT(orphans_of(*findings), IsEmpty());
  EXPECT_EQ(findings->figures.near_misses, 1U);
  EXPECT_EQ(findings->figures.protected_objects, 1U);
  EXPECT_EQ(findings->figures.protected_bytes, 3U);
  EXPECT_THAT(findings->near_miss_examples, ElementsAre(GetParam().key));
}

TEST_P(NearMiss, is_an_orphan_like_any_other_once_the_row_names_an_object) {
  TestBucket bucket;
  bucket.policy.grace = 0ms;
  bucket.add_source({GetParam().row}, KeyForm::key);
  bucket.put_old(GetParam().key);
  bucket.put_old(GetParam().row);
  const auto findings = bucket.scan();
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_THAT(due_keys(*findings), ElementsAre(GetParam().key));
  EXPECT_EQ(findings->figures.near_misses, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    each, NearMiss,
    ::testing::Values(Near{"case_of_the_row", "S/Rec.NPY", "s/rec.npy"}, Near{"case_of_the_key", "s/rec.npy", "S/Rec.NPY"},
                      Near{"case_of_both", "s/REC.npy", "S/rec.npy"},
                      Near{"composed_row", "s/caf\xc3\xa9", "s/cafe\xcc\x81"},
                      Near{"decomposed_row", "s/cafe\xcc\x81", "s/caf\xc3\xa9"},
                      Near{"blank_behind", "s/rec.npy ", "s/rec.npy"}, Near{"blank_before", "s/rec.npy", " s/rec.npy"},
                      Near{"slashes", "s/rec.npy", "s//rec.npy"}, Near{"slashes_of_the_row", "s//rec.npy", "s/rec.npy"},
                      Near{"encoded_row", "s/a%20b", "s/a b"}, Near{"encoded_key", "s/a b", "s/a%20b"},
                      Near{"encoded_twice", "s/a%2520b", "s/a b"}),
    [](const auto& each) { return each.param.name; });

TEST_F(Classify, a_row_of_another_source_that_dangles_makes_a_near_miss_too) {
  bucket.policy.grace = 0ms;
  bucket.add_source({"fine"}, KeyForm::key);
  bucket.add_source({"S/1"}, KeyForm::key);
  bucket.put_old("fine");
  bucket.put_old("s/1");
  EXPECT_EQ(scan().figures.near_misses, 1U);
}

// The prefix itself may be what a row spells another way: whether its object exists is not known, so the orphan stays.
TEST_F(Classify, a_row_that_only_the_prefix_tells_apart_makes_a_near_miss) {
  bucket.policy.grace = 0ms;
  bucket.policy.prefixes = {"data/"};
  bucket.add_source({"data/fine", "Data/x", "Elsewhere/y"}, KeyForm::key);
  for (const char* key : {"data/fine", "data/x", "data/y"}) bucket.put_old(key);
  const Findings findings = scan();
  EXPECT_EQ(findings.figures.near_misses, 1U);
  EXPECT_THAT(due_keys(findings), ElementsAre("data/y"));
}

TEST_F(Classify, what_an_unlisted_range_may_hold_is_no_reason_to_delete_a_near_miss) {
  bucket.policy.grace = 0ms;
  bucket.add_source({"S/1"}, KeyForm::key);
  bucket.policy.protect = {Glob("T/*")};
  for (const char* key : {"S/1", "T/0", "T/1", "T/2", "T/3", "T/4", "T/5", "T/6", "s/1"}) bucket.put_old(key);
  EXPECT_THAT(due_keys(scan()), ElementsAre("s/1"));
  // Without the range of "S/1", that reference may dangle.
  testing::FaultyStore store(bucket.store, {testing::StoreFault::error, 1, testing::StoreCall::next_page});
  const auto findings = bucket.scan_through(store);
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_FALSE(findings->complete());
  EXPECT_THAT(due_keys(*findings), IsEmpty());
  EXPECT_EQ(findings->figures.near_misses, 1U);
}

TEST(OrphanRecord, survives_its_encoding_and_nothing_else_does) {
  const Orphan orphan{{ObjectKey("k\n\xff"), 1ULL << 50, Timestamp(-5ns), "e", "v"}, OrphanState::in_grace, Timestamp(7ns)};
  const std::string bytes = encode(orphan);
  const auto decoded = decode_orphan(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->object, orphan.object);
  EXPECT_EQ(decoded->state, orphan.state);
  EXPECT_EQ(decoded->first_seen, orphan.first_seen);
  EXPECT_FALSE(decode_orphan(bytes + "x"));
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(decode_orphan(bytes.substr(0, size)));
}

}  // namespace
}  // namespace heimdall
