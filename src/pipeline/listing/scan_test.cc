#include "pipeline/listing/scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/format.h"
#include "pipeline/test_support.h"
#include "testing/faulty_store.h"

namespace heimdall {
namespace {

using testing::due_keys;
using testing::FaultyStore;
using testing::orphans_of;
using testing::StoreCall;
using testing::StoreFault;
using testing::TestBucket;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;

// A bucket without grace, where every old unreferenced object is due.
class Scan : public ::testing::Test {
 protected:
  Scan() { bucket.policy.grace = std::chrono::milliseconds(0); }

  Findings scan() {
    auto findings = bucket.scan();
    if (!findings) {
      ADD_FAILURE() << findings.error().message;
      return {};
    }
    return std::move(*findings);
  }

  TestBucket bucket;
};

// Every figure is a split: each object is exactly one of referenced, protected, young, in grace, due.
void expect_consistent(const BucketFigures& f) {
  EXPECT_EQ(f.total_objects, f.referenced_objects + f.protected_objects + f.orphans_found);
  EXPECT_EQ(f.total_bytes, f.referenced_bytes + f.protected_bytes + f.orphan_bytes);
  EXPECT_EQ(f.orphans_found, f.young_objects + f.in_grace_objects + f.due_objects);
}

TEST_F(Scan, finds_what_no_row_names) {
  bucket.add_source({"s3://raw/s/1.npy", "s3://raw/s/gone.npy"});
  bucket.put_old("s/1.npy", 10);
  bucket.put_old("s/2.npy", 20);
  const Findings findings = scan();
  EXPECT_THAT(due_keys(findings), ElementsAre("s/2.npy"));
  const BucketFigures& f = findings.figures;
  expect_consistent(f);
  EXPECT_EQ(f.total_objects, 2U);
  EXPECT_EQ(f.total_bytes, 30U);
  EXPECT_EQ(f.referenced_bytes, 10U);
  EXPECT_EQ(f.due_bytes, 20U);
  EXPECT_EQ(f.references, 2U);
  EXPECT_EQ(f.dangling_references, 1U);
  EXPECT_EQ(findings.bucket, "raw");
  EXPECT_EQ(findings.bucket_identity, "fake:1");
  EXPECT_EQ(findings.source_hits, std::vector<std::uint64_t>{1});
  EXPECT_EQ(findings.started, bucket.clock.now());
}

TEST_F(Scan, keeps_what_any_source_names) {
  bucket.add_source({"a"});
  bucket.add_source({"s3://raw/b"}, KeyForm::uri);
  bucket.add_source({"c"}, KeyForm::prefix);
  for (const char* key : {"a", "b", "c/1", "d"}) bucket.put_old(key);
  EXPECT_THAT(due_keys(scan()), ElementsAre("d"));
}

TEST_F(Scan, keeps_companions) {
  bucket.add_source({"s/1.npy"});
  bucket.policy.sources[0].mapping.companions = {*CompanionTemplate::parse("{dir}/{stem}_metadata.json")};
  bucket.put_old("s/1.npy");
  bucket.put_old("s/1_metadata.json");
  bucket.put_old("s/2_metadata.json");
  const Findings findings = scan();
  EXPECT_THAT(due_keys(findings), ElementsAre("s/2_metadata.json"));
  EXPECT_EQ(findings.figures.referenced_objects, 2U);
}

TEST_F(Scan, keeps_what_a_pattern_protects) {
  bucket.add_source({"x"});
  bucket.policy.protect = {Glob("keep/**"), Glob("**/*.lock")};
  for (const char* key : {"keep/a", "keep/b/c", "s/1.lock", "s/1"}) bucket.put_old(key);
  const Findings findings = scan();
  EXPECT_THAT(due_keys(findings), ElementsAre("s/1"));
  EXPECT_EQ(findings.figures.protected_objects, 3U);
  expect_consistent(findings.figures);
}

TEST_F(Scan, keeps_folder_markers) {
  bucket.add_source({"x"});
  bucket.put_old("folder/", 0);
  bucket.put_old("folder/b/", 1);  // no marker: it has content
  bucket.put_old("folder/c", 0);   // no marker: an empty file
  const Findings findings = scan();
  EXPECT_THAT(due_keys(findings), ElementsAre("folder/b/", "folder/c"));
  EXPECT_EQ(findings.figures.protected_objects, 1U);
}

// Invariant 4.
TEST_F(Scan, keeps_object_with_unparsable_date) {
  bucket.add_source({"x"});
  bucket.store.put_at("undated", 5, std::nullopt);
  const Findings findings = scan();
  EXPECT_THAT(orphans_of(findings), IsEmpty());
  EXPECT_EQ(findings.figures.protected_objects, 1U);
  EXPECT_EQ(findings.figures.protected_bytes, 5U);
}

// Invariant 8.
TEST_F(Scan, never_looks_outside_its_prefixes) {
  bucket.add_source({"in/x"});
  bucket.policy.prefixes = {"a/", "in/"};
  for (const char* key : {"a", "a/1", "ab", "in", "in/1", "in/x", "inner/1", "z"}) bucket.put_old(key);
  const Findings findings = scan();
  EXPECT_THAT(due_keys(findings), ElementsAre("a/1", "in/1"));
  EXPECT_EQ(findings.figures.total_objects, 3U);
}

// Hands out pages as a test wrote them, right or wrong.
class ScriptedReader final : public ObjectReader {
 public:
  struct Range {
    ListRange range;
    std::vector<std::vector<std::string>> pages;
  };
  ScriptedReader(TestBucket& bucket, std::vector<Range> ranges) : bucket_(bucket), ranges_(std::move(ranges)) {}

  std::function<void()> before_identity = [] {};
  Result<std::string> identity() override {
    before_identity();
    return bucket_.store.identity();
  }
  Result<Timestamp> server_time() override { return bucket_.clock.now(); }
  Result<std::vector<ListRange>> split(const ListRange& whole, const SplitHints&) override {
    std::vector<ListRange> result;
    if (!whole.after.empty() || !whole.until.empty()) return std::vector<ListRange>{whole};
    for (const Range& range : ranges_) result.push_back(range.range);
    return result;
  }
  Result<std::unique_ptr<Listing>> list(const ListRange& range) override {
    for (const Range& known : ranges_) {
      if (known.range.after == range.after) return std::unique_ptr<Listing>(std::make_unique<Pages>(bucket_, known.pages));
    }
    return Error{ErrorCode::internal, "no such range"};
  }
  Result<ObjectMeta> head(const ObjectKey& key) override { return bucket_.store.head(key); }
  std::vector<Result<ObjectMeta>> inspect(std::span<const ObjectKey> keys) override { return bucket_.store.inspect(keys); }

 private:
  class Pages final : public Listing {
   public:
    Pages(TestBucket& bucket, std::vector<std::vector<std::string>> pages) : bucket_(bucket), pages_(std::move(pages)) {}
    Result<PageStatus> next(ObjectPage& page) override {
      page.clear();
      for (const std::string& key : pages_.at(at_)) page.add({key, "etag", "", 1, bucket_.clock.now() - testing::Days(90)});
      return ++at_ == pages_.size() ? PageStatus::last : PageStatus::more;
    }

   private:
    TestBucket& bucket_;
    std::vector<std::vector<std::string>> pages_;
    std::size_t at_ = 0;
  };
  TestBucket& bucket_;
  std::vector<Range> ranges_;
};

TEST_F(Scan, never_counts_reserved_keys_even_if_a_store_lists_them) {
  bucket.add_source({"a"});
  ScriptedReader store(bucket, {{{"", "", ""}, {{".heimdall-storage/probe", ".heimdall-trash/x", "a", "b"}}}});
  const auto findings = bucket.scan_through(store);
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_THAT(due_keys(*findings), ElementsAre("b"));
  EXPECT_EQ(findings->figures.total_objects, 2U);
}

TEST_F(Scan, empty_pages_end_nothing) {
  bucket.add_source({"a"});
  ScriptedReader store(bucket, {{{"", "", ""}, {{}, {"a"}, {}, {"b"}, {}}}});
  const auto findings = bucket.scan_through(store);
  ASSERT_TRUE(findings);
  EXPECT_EQ(findings->figures.total_objects, 2U);
}

// Invariant 2: a range whose listing cannot be believed is a range that failed, and nothing of it is planned.
struct BadListing {
  std::string name;
  std::vector<std::vector<std::string>> pages;  // of the range m < k <= t
};
class ScanBadListing : public ::testing::TestWithParam<BadListing> {};

TEST_P(ScanBadListing, fails_its_range_alone) {
  TestBucket bucket;
  bucket.policy.grace = std::chrono::milliseconds(0);
  bucket.add_source({"referenced"});
  ScriptedReader store(bucket, {{{"", "", "m"}, {{"a", "m"}}}, {{"", "m", "t"}, GetParam().pages}, {{"", "t", ""}, {{"u"}}}});
  const auto findings = bucket.scan_through(store);
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_THAT(due_keys(*findings), ElementsAre("a", "m", "u"));
  ASSERT_EQ(findings->failures.size(), 1U);
  EXPECT_EQ(findings->failures[0].range.after, "m");
  EXPECT_EQ(findings->failures[0].error.code, ErrorCode::corrupt);
  EXPECT_FALSE(findings->complete());
  EXPECT_EQ(findings->figures.total_objects, 3U);
  EXPECT_EQ(findings->figures.dangling_references, 0U) << "what was not listed is not missing";
}

INSTANTIATE_TEST_SUITE_P(each, ScanBadListing,
                         ::testing::Values(BadListing{"repeated_page", {{"n", "o"}, {"n", "o"}, {"p"}}},
                                           BadListing{"repeated_key", {{"n"}, {"n"}}},
                                           BadListing{"repeated_in_page", {{"n", "n"}}},
                                           BadListing{"reordered_page", {{"o", "n"}}},
                                           BadListing{"page_runs_back", {{"o", "p"}, {"n"}}},
                                           BadListing{"before_the_range", {{"a"}}},
                                           BadListing{"the_excluded_bound", {{"m", "n"}}},
                                           BadListing{"behind_the_range", {{"n", "tt"}}}),
                         [](const auto& each) { return each.param.name; });

TEST_F(Scan, leaves_a_key_without_the_prefix_alone) {
  bucket.add_source({"x"});
  bucket.policy.prefixes = {"in/"};
  ScriptedReader store(bucket, {{{"in/", "", ""}, {{"in/a", "out/b"}}}});
  const auto findings = bucket.scan_through(store);
  ASSERT_FALSE(findings);
  EXPECT_THAT(findings.error().message, HasSubstr("outside the range"));
}

// Invariant 4: what a link leads to may lie in any range, and be asked for by rows of any.
TEST_F(Scan, gathers_the_links_of_all_ranges_once) {
  bucket.add_source({"k/000"});
  bucket.policy.prefixes = {"k/", "l/"};
  for (int i = 0; i < 200; ++i) bucket.put_old("k/" + std::to_string(1000 + i).substr(1));
  bucket.store.set_page_size(7);
  const std::vector<TreeLink> links = {{"k/000-link", "k/"}, {"k/100-link", "l/"}, {"k/200-link", ""}, {"l/link", "k/150"}};
  for (auto link = links.rbegin(); link != links.rend(); ++link) bucket.store.put_link(link->key, link->place);
  bucket.store.put_link("k/100-link", "l/");
  bucket.store.put_link("m/link", "k/");
  for (const unsigned workers : {1U, 3U}) {
    bucket.workers = workers;
    EXPECT_EQ(scan().links, links);
  }
}

TEST_F(Scan, a_range_that_fails_tells_the_links_it_met) {
  bucket.add_source({"k/0"});
  for (int i = 0; i < 4; ++i) bucket.put_old("k/" + std::to_string(i));
  bucket.store.set_page_size(1);
  bucket.store.put_link("j", "k/");
  bucket.store.put_link("z", "k/");
  bool has_failed = false;
  for (std::uint64_t call = 2;; ++call) {
    FaultyStore store(bucket.store, {StoreFault::error, call, StoreCall::next_page});
    const auto findings = bucket.scan_through(store);
    if (!store.reached()) break;
    has_failed = has_failed || !findings->complete();
    EXPECT_THAT(findings->links, Contains(TreeLink{"j", "k/"})) << call;
  }
  EXPECT_TRUE(has_failed);
}

// Invariant 2, for each page of a listing in turn and each way to fail.
TEST_F(Scan, plans_nothing_of_a_range_with_a_failed_page) {
  bucket.add_source({"k/000"});
  for (int i = 0; i < 200; ++i) bucket.put_old("k/" + std::to_string(1000 + i).substr(1));
  bucket.store.set_page_size(7);
  const auto all = due_keys(scan());
  ASSERT_EQ(all.size(), 199U);
  const StoreFault faults[] = {StoreFault::error, StoreFault::timeout_after_effect, StoreFault::duplicate_page,
                               StoreFault::reordered_page};
  for (StoreFault fault : faults) {
    for (std::uint64_t call = 1;; ++call) {
      FaultyStore store(bucket.store, {fault, call, StoreCall::next_page});
      const auto findings = bucket.scan_through(store);
      if (!store.reached()) break;
      ASSERT_TRUE(findings) << findings.error().message;
      // A page of one object has no order to lose, and the first page of a range repeats none.
      if (findings->complete() && (fault == StoreFault::reordered_page || fault == StoreFault::duplicate_page)) {
        ASSERT_EQ(due_keys(*findings), all);
        continue;
      }
      ASSERT_EQ(findings->failures.size(), 1U) << call;
      const ListRange& lost = findings->failures[0].range;
      const auto due = due_keys(*findings);
      for (const std::string& key : all) {
        const bool inside = key > lost.after && (lost.until.empty() || key <= lost.until);
        ASSERT_EQ(due.contains(key), !inside) << key;
      }
    }
  }
}

TEST_F(Scan, a_short_page_loses_nothing) {
  bucket.add_source({"k/0"});
  for (int i = 0; i < 10; ++i) bucket.put_old("k/" + std::to_string(i));
  for (std::uint64_t call = 1; call < 8; ++call) {
    FaultyStore store(bucket.store, {StoreFault::short_page, call, StoreCall::next_page});
    const auto findings = bucket.scan_through(store);
    ASSERT_TRUE(findings);
    EXPECT_EQ(due_keys(*findings).size(), 9U);
  }
}

// Trouble that is real will meet the listing, too.
TEST_F(Scan, what_cannot_be_cut_is_listed_as_one) {
  bucket.add_source({"a"});
  bucket.put_old("b");
  FaultyStore store(bucket.store, {StoreFault::error, 1, StoreCall::split});
  const auto findings = bucket.scan_through(store);
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_TRUE(findings->complete());
  EXPECT_THAT(due_keys(*findings), ElementsAre("b"));
}

TEST_F(Scan, fails_if_the_store_cannot_say_what_it_is) {
  bucket.add_source({"a"});
  bucket.put_old("b");
  for (StoreCall verb : {StoreCall::identity, StoreCall::server_time}) {
    FaultyStore store(bucket.store, {StoreFault::error, 1, verb});
    EXPECT_FALSE(bucket.scan_through(store));
  }
  FaultyStore store(bucket.store, {StoreFault::error, 2, StoreCall::identity});  // the second look, after the listing
  EXPECT_FALSE(bucket.scan_through(store));
  EXPECT_THAT(bucket.dir.files(), IsEmpty());
}

TEST_F(Scan, returns_the_error_if_no_range_could_be_listed) {
  bucket.add_source({"a"});
  FaultyStore store(bucket.store, {StoreFault::error, 1, StoreCall::list});
  const auto findings = bucket.scan_through(store);
  ASSERT_FALSE(findings);
  EXPECT_EQ(findings.error().code, ErrorCode::unavailable);
}

TEST_F(Scan, believes_nothing_of_a_bucket_that_was_replaced_meanwhile) {
  bucket.add_source({"a"});
  bucket.put_old("b");
  bucket.store.before_page = [&] { bucket.store.set_identity("fake:2"); };
  const auto findings = bucket.scan();
  ASSERT_FALSE(findings);
  EXPECT_EQ(findings.error().code, ErrorCode::failed_precondition);
  EXPECT_THAT(bucket.dir.files(), IsEmpty());
}

TEST_F(Scan, stops_when_asked_to_and_leaves_no_file) {
  bucket.add_source({"a"});
  for (int i = 0; i < 50; ++i) bucket.put_old("k/" + std::to_string(i));
  std::stop_source stop;
  int pages = 0;
  bucket.store.before_page = [&] {
    if (++pages == 3) stop.request_stop();
  };
  auto snapshot = bucket.snapshot();
  ASSERT_TRUE(snapshot);
  const ScanOptions options{1, bucket.scratch(), bucket.ledger(), bucket.clock.now(), 0};
  const auto findings = heimdall::scan(bucket.store, *snapshot, bucket.policy, options, bucket.progress, stop.get_token());
  ASSERT_FALSE(findings);
  EXPECT_EQ(findings.error().code, ErrorCode::cancelled);
  EXPECT_THAT(bucket.dir.files(), IsEmpty());
}

TEST_F(Scan, its_files_go_with_the_findings) {
  bucket.add_source({"a"});
  bucket.put_old("b");
  {
    const Findings findings = scan();
    EXPECT_EQ(bucket.dir.files().size(), 3U);
  }
  EXPECT_THAT(bucket.dir.files(), IsEmpty());
}

TEST_F(Scan, an_empty_bucket_is_complete) {
  bucket.add_source({"a"});
  const Findings findings = scan();
  EXPECT_TRUE(findings.complete());
  EXPECT_EQ(findings.figures.total_objects, 0U);
  EXPECT_THAT(orphans_of(findings), IsEmpty());
}

TEST_F(Scan, workers_and_page_sizes_change_nothing) {
  std::vector<std::string> values;
  for (int i = 0; i < 300; ++i) {
    const std::string key = std::string("abc").substr(static_cast<std::size_t>(i % 3), 1) + "/" + std::to_string(i) + ".npy";
    bucket.put_old(key, static_cast<std::uint64_t>(i));
    if (i % 4 == 0) values.push_back(key);
  }
  bucket.add_source(values);
  const Findings plain = scan();
  for (unsigned workers : {1U, 2U, 7U, 64U}) {
    for (std::size_t page_size : {1U, 10U, 1000U}) {
      bucket.workers = workers;
      bucket.store.set_page_size(page_size);
      auto findings = bucket.scan();
      ASSERT_TRUE(findings);
      EXPECT_EQ(findings->figures, plain.figures);
      EXPECT_EQ(due_keys(*findings).size(), 225U);
    }
  }
}

// Parallelism changes no verdict: random buckets, with many workers that steal from each other, and with a call that fails. What could be listed is
// judged as by one worker, and what could not is in a range that failed.
TEST_F(Scan, faults_under_many_workers_cost_their_ranges_and_nothing_else) {
  std::mt19937 random(20261125);
  for (int round = 0; round < 12; ++round) {
    TestBucket world;
    world.policy.grace = std::chrono::milliseconds(0);
    std::vector<std::string> values;
    const auto count = 100 + random() % 400;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string key = format("{}/{}/{:03}", static_cast<char>('a' + random() % 3), random() % 5, random() % 1000);
      world.put_old(key);
      if (random() % 3 == 0) values.push_back(key);
    }
    world.add_source(values);
    world.store.set_page_size(1 + random() % 20);
    auto plain = world.scan();
    ASSERT_TRUE(plain) << plain.error().message;
    const auto expected = due_keys(*plain);
    for (const unsigned workers : {2U, 7U, 64U}) {
      for (const StoreFault fault : {StoreFault::error, StoreFault::duplicate_page, StoreFault::reordered_page, StoreFault::short_page}) {
        world.workers = workers;
        FaultyStore store(world.store, {fault, 1 + random() % 8, StoreCall::next_page});
        const auto findings = world.scan_through(store);
        if (!findings) continue;  // not one range could be listed
        const auto due = due_keys(*findings);
        for (const std::string& key : expected) {
          const bool is_lost = std::ranges::any_of(findings->failures, [&](const RangeFailure& failure) {
            return key > failure.range.after && (failure.range.until.empty() || key <= failure.range.until);
          });
          ASSERT_EQ(due.contains(key), !is_lost) << key << " with " << workers;
        }
        for (const auto& [key, orphan] : orphans_of(*findings)) ASSERT_TRUE(expected.contains(key)) << key;
      }
    }
  }
}

TEST_F(Scan, says_into_how_many_ranges_the_listing_was_cut) {
  bucket.add_source({"a"});
  for (int i = 0; i < 100; ++i) bucket.put_old(std::to_string(i));
  const Findings findings = scan();
  EXPECT_GE(findings.ranges, 4U);
}

// Guard unreferenced_class: the classes come from the listing.
TEST_F(Scan, finds_a_class_of_objects_that_nobody_configured) {
  bucket.policy.guards.max_unreferenced_class = 5;
  bucket.add_source({"s/0.npy"});
  bucket.put_old("s/0.npy");
  for (int i = 0; i < 5; ++i) bucket.put_old("s/" + std::to_string(i) + ".json");
  for (int i = 1; i < 9; ++i) bucket.put_old("s/" + std::to_string(i) + ".npy");
  for (int i = 0; i < 4; ++i) bucket.put_old("t/" + std::to_string(i) + ".wav");
  const Findings findings = scan();
  ASSERT_EQ(findings.unreferenced_classes.size(), 1U);
  EXPECT_EQ(findings.unreferenced_classes[0].name, "s/*.json");
  EXPECT_EQ(findings.unreferenced_classes[0].objects, 5U);
}

// A console writes a marker for each folder it creates: that says nothing about the objects in it.
TEST_F(Scan, a_folder_marker_does_not_vouch_for_the_objects_without_extension_beside_it) {
  bucket.policy.guards.max_unreferenced_class = 5;
  bucket.add_source({"x"});
  bucket.put_old("blobs/", 0);
  for (int i = 0; i < 5; ++i) bucket.put_old("blobs/" + std::to_string(i));
  const Findings findings = scan();
  ASSERT_EQ(findings.unreferenced_classes.size(), 1U);
  EXPECT_EQ(findings.unreferenced_classes[0].objects, 5U);
}

}  // namespace
}  // namespace heimdall
