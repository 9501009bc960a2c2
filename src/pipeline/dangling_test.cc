#include "pipeline/dangling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/test_support.h"
#include "testing/faulty_source.h"
#include "testing/faulty_store.h"

namespace heimdall {
namespace {

using testing::FaultySource;
using testing::FaultyStore;
using testing::SourceFault;
using testing::StoreFault;
using testing::TestBucket;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Dangling : public ::testing::Test {
 protected:
  // Takes the snapshot and scans, so that what exists is marked.
  ReferenceSnapshot& scanned() {
    auto taken = bucket.snapshot();
    EXPECT_TRUE(taken);
    snapshot.emplace(std::move(*taken));
    EXPECT_TRUE(bucket.scan_with(*snapshot, bucket.clock.now(), bucket.store));
    return *snapshot;
  }
  Result<void> visit(ObjectReader& store, std::span<const SourceBinding> sources, const ReferenceSnapshot& references) {
    found.clear();
    return visit_dangling(
        store, sources, references,
        [&](const KeyReference& each) -> Result<void> {
          found.push_back(std::string(each.source) + "|" + std::string(each.value) + "|" + std::string(each.key));
          return {};
        },
        {});
  }

  TestBucket bucket;
  std::optional<ReferenceSnapshot> snapshot;
  std::vector<std::string> found;
};

TEST_F(Dangling, names_each_missing_key_once_per_source_as_it_stands_in_the_row) {
  bucket.add_source({"there", "s3://raw/gone", "/gone", "gone too", "", "s3://elsewhere/x"});
  bucket.add_source({"gone"});
  bucket.add_source({"folder"}, KeyForm::prefix);
  bucket.put_old("there");
  const auto& references = scanned();
  ASSERT_TRUE(visit(bucket.store, bucket.bindings(), references));
  EXPECT_THAT(found, ElementsAre("source 0|s3://raw/gone|gone", "source 0|gone too|gone too", "source 1|gone|gone"));
}

TEST_F(Dangling, does_not_name_what_came_into_being_since) {
  bucket.add_source({"late", "gone"});
  const auto& references = scanned();
  bucket.put_old("late");
  ASSERT_TRUE(visit(bucket.store, bucket.bindings(), references));
  EXPECT_THAT(found, ElementsAre("source 0|gone|gone"));
}

// Invariant 4: somebody may delete rows by what is named here.
TEST_F(Dangling, names_no_row_that_has_an_object_by_a_further_meaning) {
  bucket.add_source({"/a", "b%20c", "//host/raw/d", "/gone", "gone%20too"});
  bucket.add_source({"/e"}, KeyForm::key);
  for (const char* key : {"/a", "b c", "d", "e"}) bucket.put_old(key);
  const auto& references = scanned();
  ASSERT_TRUE(visit(bucket.store, bucket.bindings(), references));
  EXPECT_THAT(found, ElementsAre("source 0|/gone|gone", "source 0|gone%20too|gone%20too"));
}

TEST_F(Dangling, a_row_that_has_its_object_hides_no_other_row_of_that_key) {
  bucket.add_source({"/a", "a", "/a"});
  bucket.put_old("/a");
  const auto& references = scanned();
  ASSERT_TRUE(visit(bucket.store, bucket.bindings(), references));
  EXPECT_THAT(found, ElementsAre("source 0|a|a"));
}

TEST_F(Dangling, an_object_that_is_a_companion_alone_is_not_what_the_row_names) {
  bucket.add_source({"a.npy"});
  bucket.policy.sources[0].mapping.companions.push_back(CompanionTemplate::parse("{stem}.json").value());
  bucket.put_old("a.json");
  const auto& references = scanned();
  ASSERT_TRUE(visit(bucket.store, bucket.bindings(), references));
  EXPECT_THAT(found, ElementsAre("source 0|a.npy|a.npy"));
}

TEST_F(Dangling, reads_a_row_together_with_its_bucket) {
  bucket.add_source({}).data().rows.push_back({"/a", "raw"});
  bucket.put_old("a");
  const auto& references = scanned();
  ASSERT_TRUE(visit(bucket.store, bucket.bindings(), references));
  EXPECT_THAT(found, IsEmpty());
}

TEST_F(Dangling, asks_once_for_an_object_that_many_rows_mean) {
  bucket.add_source(std::vector<std::string>(50, "/a"));
  bucket.put_old("/a");
  const auto& references = scanned();
  FaultyStore store(bucket.store, {});
  ASSERT_TRUE(visit(store, bucket.bindings(), references));
  EXPECT_THAT(found, IsEmpty());
  EXPECT_EQ(store.calls(), 2U);
}

// Invariant 4: a store that takes no such name does not say that there is no object.
TEST_F(Dangling, leaves_out_a_row_of_which_a_further_meaning_cannot_be_asked_for) {
  class Picky final : public FaultyStore {
   public:
    explicit Picky(ObjectStore& inner) : FaultyStore(inner, {}) {}
    Result<ObjectMeta> head(const ObjectKey& key) override {
      if (key.bytes() == "a\xff") return Error{ErrorCode::invalid_argument, "no such names here"};
      return FaultyStore::head(key);
    }
  };
  bucket.add_source({"a%ff", "gone"});
  const auto& references = scanned();
  Picky store(bucket.store);
  ASSERT_TRUE(visit(store, bucket.bindings(), references));
  EXPECT_THAT(found, ElementsAre("source 0|gone|gone"));
}

TEST_F(Dangling, names_no_row_that_the_snapshot_did_not_see) {
  auto& source = bucket.add_source({"gone"});
  const auto& references = scanned();
  source.add("written later");
  ASSERT_TRUE(visit(bucket.store, bucket.bindings(), references));
  EXPECT_THAT(found, ElementsAre("source 0|gone|gone"));
}

// An error is never read as absence.
TEST_F(Dangling, passes_on_every_error) {
  bucket.add_source({"gone", "gone too"});
  const auto& references = scanned();
  for (std::uint64_t call = 1;; ++call) {
    FaultyStore store(bucket.store, {StoreFault::error, call});
    const auto visited = visit(store, bucket.bindings(), references);
    if (!store.reached()) break;
    EXPECT_FALSE(visited);
    EXPECT_EQ(found.size(), call - 1);
  }
  for (SourceFault fault : {SourceFault::error, SourceFault::timeout_after_effect, SourceFault::truncated}) {
    FaultySource source(bucket.sources[0], {fault, 1, testing::SourceCall::read});
    const SourceBinding binding{&source, &bucket.policy.sources[0]};
    const auto visited = visit(bucket.store, {&binding, 1}, references);
    ASSERT_FALSE(visited);
    EXPECT_THAT(visited.error().message, HasSubstr("'source 0'"));
  }
}

TEST_F(Dangling, says_which_source_cannot_be_read_again) {
  auto& source = bucket.add_source({"gone"});
  const auto& references = scanned();
  source.data().can_read_again = false;
  const auto visited = visit(bucket.store, bucket.bindings(), references);
  ASSERT_FALSE(visited);
  EXPECT_EQ(visited.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(visited.error().message, HasSubstr("'source 0'"));
  EXPECT_THAT(found, IsEmpty());
}

TEST_F(Dangling, an_error_of_the_visitor_ends_it) {
  bucket.add_source({"a", "b"});
  const auto& references = scanned();
  int calls = 0;
  const auto visited = visit_dangling(
      bucket.store, bucket.bindings(), references,
      [&](const KeyReference&) -> Result<void> {
        ++calls;
        return Error{ErrorCode::internal, "disk full"};
      },
      {});
  ASSERT_FALSE(visited);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace heimdall
