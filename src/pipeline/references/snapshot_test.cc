#include "pipeline/references/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "pipeline/references/snapshot_format.h"
#include "pipeline/test_support.h"
#include "testing/faulty_source.h"

namespace heimdall {
namespace {

using testing::FakeRow;
using testing::FakeSource;
using testing::FaultySource;
using testing::SourceFault;
using testing::TestBucket;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

bool has(ReferenceSnapshot& snapshot, std::string_view key) {
  std::uint8_t hit = 0;
  snapshot.probe({&key, 1}, {&hit, 1});
  EXPECT_EQ(hit != 0, snapshot.contains(key)) << key;
  return hit != 0;
}

// Invariant 1, and the trap that made every object an orphan: the listing says `key`, the row says it in another way.
class Spelling : public ::testing::TestWithParam<std::pair<KeyForm, std::string>> {};

TEST_P(Spelling, names_the_object) {
  TestBucket bucket;
  bucket.add_source({GetParam().second}, GetParam().first);
  bucket.policy.sources[0].mapping.aliases = {"old-raw"};
  bucket.policy.sources[0].mapping.base_urls = {"https://cdn.example.com/media/"};
  auto snapshot = bucket.snapshot();
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  EXPECT_TRUE(has(*snapshot, "s/a b.npy"));
  EXPECT_FALSE(has(*snapshot, "t/a b.npy"));
}

INSTANTIATE_TEST_SUITE_P(
    all, Spelling,
    ::testing::Values(std::pair(KeyForm::automatic, "s/a b.npy"), std::pair(KeyForm::automatic, "/s/a b.npy"),
                      std::pair(KeyForm::automatic, "s/a%20b.npy"), std::pair(KeyForm::automatic, "s3://raw/s/a b.npy"),
                      std::pair(KeyForm::automatic, "s3://old-raw/s/a b.npy"),
                      std::pair(KeyForm::automatic, "http://minio:9000/raw/s/a%20b.npy?X-Amz-Date=1#top"),
                      std::pair(KeyForm::automatic, "https://raw.s3.example.com/s/a%20b.npy"),
                      std::pair(KeyForm::automatic, "https://cdn.example.com/media/s/a%20b.npy"),
                      std::pair(KeyForm::key, "s/a b.npy"), std::pair(KeyForm::key, "/s/a b.npy"),
                      std::pair(KeyForm::uri, "s3://raw/s/a b.npy"),
                      std::pair(KeyForm::url, "http://minio:9000/raw/s/a%20b.npy"), std::pair(KeyForm::prefix, "s"),
                      std::pair(KeyForm::prefix, "s/"), std::pair(KeyForm::prefix, "s3://raw/s")));

TEST(Snapshot, knows_a_key_by_the_bucket_column_of_its_row) {
  TestBucket bucket;
  bucket.policy.sources.reserve(1);
  FakeSource& source = bucket.add_source({});
  source.data().rows = {{"a", "raw"}, {"b", "elsewhere"}, {"c", "audio"}};
  bucket.policy.sources[0].mapping.other_buckets = {"audio"};
  auto snapshot = bucket.snapshot();
  ASSERT_TRUE(snapshot);
  EXPECT_TRUE(has(*snapshot, "a"));
  EXPECT_FALSE(has(*snapshot, "c"));
  EXPECT_EQ(snapshot->sources()[0].other_bucket, 1U);
  EXPECT_EQ(snapshot->sources()[0].unmapped, 1U);
}

// Invariant 4: what cannot be mapped is counted and keeps its literal text.
TEST(Snapshot, keeps_what_an_unmapped_value_may_mean) {
  TestBucket bucket;
  bucket.add_source({"gopher://x/y"});
  auto snapshot = bucket.snapshot();
  ASSERT_TRUE(snapshot);
  EXPECT_TRUE(has(*snapshot, "gopher://x/y"));
  EXPECT_EQ(snapshot->sources()[0].unmapped, 1U);
  EXPECT_EQ(snapshot->references(), 0U);
}

TEST(Snapshot, companions_protect_and_count_in_no_figure) {
  TestBucket bucket;
  bucket.add_source({"s3://raw/s/1.npy"});
  bucket.policy.sources[0].mapping.companions = {*CompanionTemplate::parse("{dir}/{stem}_metadata.json")};
  auto snapshot = bucket.snapshot();
  ASSERT_TRUE(snapshot);
  EXPECT_TRUE(has(*snapshot, "s/1_metadata.json"));
  EXPECT_EQ(snapshot->references(), 1U);
  EXPECT_EQ(snapshot->hits_of(0), 0U);
  EXPECT_EQ(snapshot->dangling(), 1U);
}

TEST(Snapshot, a_folder_protects_all_below_it_and_nothing_beside_it) {
  TestBucket bucket;
  bucket.add_source({"a/b"}, KeyForm::prefix);
  auto snapshot = bucket.snapshot();
  ASSERT_TRUE(snapshot);
  EXPECT_TRUE(has(*snapshot, "a/b/c"));
  EXPECT_TRUE(has(*snapshot, "a/b/c/d/e"));
  EXPECT_TRUE(has(*snapshot, "a/b/"));
  EXPECT_TRUE(has(*snapshot, "a/b"));  // a file of that name may be meant
  EXPECT_FALSE(has(*snapshot, "a/bc"));
  EXPECT_FALSE(has(*snapshot, "a/c"));
  EXPECT_FALSE(has(*snapshot, "x/a/b/c"));
}

TEST(Snapshot, a_folder_above_the_prefix_protects_the_whole_prefix) {
  TestBucket bucket;
  bucket.policy.prefixes = {"a/b/"};
  bucket.add_source({"a/"}, KeyForm::prefix);
  auto snapshot = bucket.snapshot();
  ASSERT_TRUE(snapshot);
  EXPECT_TRUE(has(*snapshot, "a/b/c"));
}

TEST(Snapshot, counts_each_kind_of_row) {
  TestBucket bucket;
  FakeSource& source = bucket.add_source({"in/a", "in/a", "/in/b", "", "", "s3://audio/x", "s3://scratch/y", "gopher://z", "out/c"});
  MappingRules& rules = bucket.policy.sources[0].mapping;
  rules.other_buckets = {"audio"};
  rules.ignore_buckets = {"scratch"};
  bucket.policy.prefixes = {"in/"};
  source.data().partial = "LIMIT in the query";
  source.data().writers.text = "7";
  source.data().as_of = bucket.clock.now();
  source.data().identity.position = 99;
  auto snapshot = bucket.snapshot();
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  const SourceFacts& facts = snapshot->sources()[0];
  EXPECT_EQ(facts.name, "source 0");
  EXPECT_EQ(facts.rows, 9U);
  EXPECT_EQ(facts.blank, 2U);
  EXPECT_EQ(facts.own(), 4U);
  EXPECT_EQ(facts.other_bucket, 1U);
  EXPECT_EQ(facts.ignored, 1U);
  EXPECT_EQ(facts.unmapped, 1U);
  EXPECT_EQ(facts.outside_prefixes, 1U);
  EXPECT_EQ(facts.distinct_keys, 2U);
  EXPECT_EQ(facts.partial, "LIMIT in the query");
  EXPECT_EQ(facts.writers.text, "7");
  EXPECT_EQ(facts.as_of, bucket.clock.now());
  EXPECT_EQ(facts.identity, source.data().identity);
  EXPECT_THAT(facts.unmapped_examples, ::testing::ElementsAre(HasSubstr("gopher://z")));
  EXPECT_EQ(facts.by_shape[static_cast<std::size_t>(Shape::leading_slash)], 1U);
  EXPECT_EQ(facts.shape_examples[static_cast<std::size_t>(Shape::leading_slash)], "/in/b");
  EXPECT_FALSE(has(*snapshot, "out/c"));
}

// A control is asked for again at each recheck and must be found in a snapshot of the same prefixes: a row that names nothing there never
// can be, and would make a healthy recheck look blind.
TEST(Snapshot, controls_are_evenly_spaced_rows_that_name_a_key_inside_the_prefixes) {
  TestBucket bucket;
  bucket.policy.prefixes = {"in/"};
  std::vector<std::string> values;
  for (int i = 0; i < 1000; ++i) {
    for (const char* folder : {"out/", "in/"}) values.push_back(folder + std::to_string(1000 + i));
  }
  bucket.add_source(values);
  auto snapshot = bucket.snapshot();
  ASSERT_TRUE(snapshot);
  const auto& controls = snapshot->sources()[0].controls;
  EXPECT_GE(controls.size(), kMaxControls / 2);
  EXPECT_LE(controls.size(), kMaxControls);
  for (const ReferenceControl& control : controls) EXPECT_THAT(control.value, ::testing::StartsWith("in/"));
  EXPECT_GT(controls.back().value, "in/1400");
}

// Invariant 2: any error of any source, whatever was handed over before, fails the snapshot. Nothing is sealed or left behind.
class SnapshotFault : public ::testing::TestWithParam<SourceFault> {};

TEST_P(SnapshotFault, fails_the_snapshot_and_leaves_no_file) {
  TestBucket bucket;
  bucket.add_source({"a", "b", "c", "d"});
  bucket.add_source({"e", "f", "g", "h"});
  for (std::size_t broken : {0U, 1U}) {
    FaultySource faulty(bucket.sources[broken], {GetParam(), 1, testing::SourceCall::read});
    auto bindings = bucket.bindings();
    bindings[broken].source = &faulty;
    const auto snapshot =
        take_snapshot(bindings, bucket.policy.prefixes, bucket.dir.path() / "snapshot", 1, bucket.progress, {});
    ASSERT_FALSE(snapshot);
    EXPECT_THAT(snapshot.error().message, HasSubstr(bucket.policy.sources[broken].name));
    EXPECT_THAT(bucket.dir.files(), IsEmpty());
  }
}

INSTANTIATE_TEST_SUITE_P(each, SnapshotFault,
                         ::testing::Values(SourceFault::error, SourceFault::timeout_after_effect, SourceFault::truncated));

TEST(Snapshot, does_not_mind_repeated_and_reordered_rows) {
  for (SourceFault fault : {SourceFault::duplicated_rows, SourceFault::reordered_rows}) {
    TestBucket bucket;
    bucket.add_source({"a", "b", "c"});
    FaultySource source(bucket.sources[0], {fault, 1, testing::SourceCall::read});
    auto bindings = bucket.bindings();
    bindings[0].source = &source;
    auto snapshot = take_snapshot(bindings, bucket.policy.prefixes, bucket.dir.path() / "s", 1, bucket.progress, {});
    ASSERT_TRUE(snapshot) << snapshot.error().message;
    EXPECT_EQ(snapshot->references(), 3U);
  }
}

TEST(Snapshot, refuses_rows_that_do_not_add_up) {
  TestBucket bucket;
  bucket.add_source({});
  testing::ForgetfulSource source;
  const SourceBinding binding{&source, &bucket.policy.sources[0]};
  const auto snapshot =
      take_snapshot({&binding, 1}, bucket.policy.prefixes, bucket.dir.path() / "s", 1, bucket.progress, {});
  ASSERT_FALSE(snapshot);
  EXPECT_EQ(snapshot.error().code, ErrorCode::corrupt);
  EXPECT_THAT(bucket.dir.files(), IsEmpty());
}

TEST(Snapshot, stops_when_asked_to) {
  TestBucket bucket;
  bucket.add_source({"a", "b"});
  std::stop_source stop;
  bucket.sources[0].data().after_rows = [&] { stop.request_stop(); };
  const auto snapshot = take_snapshot(bucket.bindings(), bucket.policy.prefixes, bucket.dir.path() / "s", 1,
                                      bucket.progress, stop.get_token());
  ASSERT_FALSE(snapshot);
  EXPECT_EQ(snapshot.error().code, ErrorCode::cancelled);
  EXPECT_THAT(bucket.dir.files(), IsEmpty());
}

TEST(Snapshot, says_where_it_cannot_write) {
  TestBucket bucket;
  bucket.add_source({"a"});
  const auto snapshot = take_snapshot(bucket.bindings(), bucket.policy.prefixes, bucket.dir.path() / "no" / "s", 1,
                                      bucket.progress, {});
  ASSERT_FALSE(snapshot);
  EXPECT_THAT(snapshot.error().message, HasSubstr("no/s"));
}

// The sealed file under a second name, caught while it was written: take_snapshot() unlinks its own.
std::string sealed_file(TestBucket& bucket) {
  const auto copy = bucket.dir.path() / "copy";
  bucket.sources.front().data().before_read = [&] {
    std::filesystem::create_hard_link(bucket.dir.path() / "snapshot", copy);
  };
  EXPECT_TRUE(bucket.snapshot());
  return testing::content_of(copy);
}

// Invariant 2: a file without its seal is never taken for a short one.
TEST(SnapshotSeal, a_cut_file_is_corrupt_wherever_it_was_cut) {
  TestBucket bucket;
  bucket.add_source({"A", "b", "s3://raw/c"});
  const std::string whole = sealed_file(bucket);
  const auto path = bucket.dir.path() / "cut";
  testing::write_file(path, whole);
  ASSERT_TRUE(ReferenceSnapshot::open(path));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    testing::write_file(path, whole.substr(0, size));
    const auto snapshot = ReferenceSnapshot::open(path);
    ASSERT_FALSE(snapshot) << size;
    ASSERT_EQ(snapshot.error().code, ErrorCode::corrupt) << size;
  }
}

TEST(SnapshotSeal, a_flipped_bit_is_corrupt_wherever_it_is) {
  TestBucket bucket;
  bucket.add_source({"A", "b", "s3://raw/c"});
  const std::string whole = sealed_file(bucket);
  const auto path = bucket.dir.path() / "flipped";
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    testing::write_file(path, flipped);
    const auto snapshot = ReferenceSnapshot::open(path);
    ASSERT_FALSE(snapshot) << at;
    ASSERT_EQ(snapshot.error().code, ErrorCode::corrupt) << at;
  }
}

TEST(SnapshotSeal, something_appended_is_corrupt) {
  TestBucket bucket;
  bucket.add_source({"a"});
  const std::string whole = sealed_file(bucket);
  testing::write_file(bucket.dir.path() / "longer", whole + std::string(8, '\0'));
  EXPECT_FALSE(ReferenceSnapshot::open(bucket.dir.path() / "longer"));
  testing::write_file(bucket.dir.path() / "twice", whole + whole);
  EXPECT_FALSE(ReferenceSnapshot::open(bucket.dir.path() / "twice"));
}

TEST(SnapshotSeal, a_missing_file_is_not_found) {
  const testing::TempDir dir;
  const auto snapshot = ReferenceSnapshot::open(dir.path() / "none");
  ASSERT_FALSE(snapshot);
  EXPECT_EQ(snapshot.error().code, ErrorCode::not_found);
}

TEST(ReferenceSnapshot, metadata_survives_its_encoding) {
  SnapshotMetadata metadata;
  metadata.near_pairs_offset = 24;
  metadata.near_pairs_count = 3;
  metadata.sections = {{ReferenceSnapshot::Kind::prefix, 1, 24, 5}};
  SourceFacts facts;
  facts.name = "x";
  facts.partial = "";
  facts.rows = 1ULL << 60;
  facts.controls = {{"v", std::nullopt}, {"w", "raw"}};
  facts.unmapped_examples = {"e"};
  metadata.sources = {facts};
  metadata.key_sample = {std::string("\0\xff", 2)};
  const std::string bytes = encode(metadata);
  const auto decoded = decode_snapshot_metadata(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(encode(*decoded), bytes);
  EXPECT_EQ(decoded->sources[0].controls, facts.controls);
  EXPECT_EQ(decoded->sources[0].partial, "");
  EXPECT_FALSE(decode_snapshot_metadata(bytes + "x"));
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(decode_snapshot_metadata(bytes.substr(0, size)));
}

// Enough keys for an index of several levels; each source for itself and all together, against sets.
RC_GTEST_PROP(ReferenceSnapshot, answers_as_a_set_does, ()) {
  TestBucket bucket;
  const auto number = rc::gen::inRange(0, 3000);
  std::vector<std::set<std::string>> named(*rc::gen::inRange<std::size_t>(1, 4));
  for (auto& keys : named) {
    const auto numbers = *rc::gen::container<std::vector<int>>(static_cast<std::size_t>(*rc::gen::inRange(0, 800)), number);
    for (int n : numbers) keys.insert("k/" + std::to_string(n));
    bucket.add_source({keys.begin(), keys.end()});
  }
  bucket.salt = *rc::gen::arbitrary<std::uint64_t>();
  auto snapshot = bucket.snapshot();
  RC_ASSERT(snapshot.has_value());

  std::vector<std::string> probed;
  for (int n : *rc::gen::container<std::vector<int>>(300, number)) probed.push_back("k/" + std::to_string(n));
  const std::vector<std::string_view> keys(probed.begin(), probed.end());
  std::vector<std::uint8_t> hits(keys.size(), 7);
  snapshot->probe(keys, hits);

  std::set<std::string> all;
  std::set<std::string> hit;
  for (std::size_t s = 0; s < named.size(); ++s) {
    std::set<std::string> hit_here;
    for (const std::string& key : probed) {
      RC_ASSERT(snapshot->source_contains(s, key) == named[s].contains(key));
      if (named[s].contains(key)) hit_here.insert(key);
    }
    RC_ASSERT(snapshot->hits_of(s) == hit_here.size());
    all.insert(named[s].begin(), named[s].end());
    hit.insert(hit_here.begin(), hit_here.end());
  }
  for (std::size_t i = 0; i < probed.size(); ++i) RC_ASSERT((hits[i] != 0) == all.contains(probed[i]));
  RC_ASSERT(snapshot->references() == all.size());
  RC_ASSERT(snapshot->dangling() == all.size() - hit.size());
  for (const std::string& key : all) {
    RC_ASSERT(snapshot->is_dangling(snapshot->fingerprinter()(key)) == !hit.contains(key));
  }
}

TEST(ReferenceSnapshot, the_sample_of_keys_is_sorted_and_bounded) {
  TestBucket bucket;
  std::vector<std::string> values;
  for (int i = 0; i < 50'000; ++i) values.push_back("k/" + std::to_string((i * 7919) % 50'000));
  bucket.add_source(values);
  const auto snapshot = bucket.snapshot();
  ASSERT_TRUE(snapshot);
  const auto& sample = snapshot->key_sample();
  EXPECT_TRUE(std::is_sorted(sample.begin(), sample.end()));
  EXPECT_THAT(sample, ::testing::Each(::testing::StartsWith("k/"))) << "a cut at no key at all would end a range nowhere";
  EXPECT_GE(sample.size(), 16U * 1024);
  EXPECT_LT(sample.size(), 32U * 1024);
}

TEST(ReferenceSnapshot, the_sample_of_keys_holds_no_torn_characters) {
  TestBucket bucket;
  bucket.add_source({std::string(511, 'a') + "\xC3\xA9/b", "k/" + std::string(509, 'b') + "\xC3\xA9"}, KeyForm::key);
  const auto snapshot = bucket.snapshot();
  ASSERT_TRUE(snapshot);
  EXPECT_THAT(snapshot->key_sample(), ::testing::ElementsAre(std::string(511, 'a'), "k/" + std::string(509, 'b')));
}

// Whatever memory it may take: the same file, and the same answers.
TEST(Snapshot, spills_what_is_over_its_budget_and_says_the_same) {
  std::vector<std::string> values;
  for (int i = 0; i < 20'000; ++i) values.push_back((i % 3 == 0 ? "K/" : "k/") + std::to_string(i * 7919 % 15'000) + ".npy");
  std::string whole;
  for (const std::uint64_t budget : {std::uint64_t{1} << 30, std::uint64_t{100'000}, std::uint64_t{1}}) {
    TestBucket bucket;
    bucket.add_source(values);
    bucket.add_source({"k", "x"}, KeyForm::prefix);
    bucket.policy.sources[0].mapping.companions = {*CompanionTemplate::parse("{key}.json")};
    const auto copy = bucket.dir.path() / "copy";
    bucket.sources[0].data().before_read = [&] { std::filesystem::create_hard_link(bucket.dir.path() / "snapshot", copy); };
    SnapshotOptions options;
    options.memory_budget_bytes = budget;
    auto snapshot = take_snapshot(bucket.bindings(), bucket.policy.prefixes, bucket.dir.path() / "snapshot", 1, bucket.progress, {}, options);
    ASSERT_TRUE(snapshot) << snapshot.error().message;
    EXPECT_EQ(bucket.dir.files().size(), 1U) << "scratch files are left over";
    if (whole.empty()) whole = testing::content_of(copy);
    EXPECT_TRUE(testing::content_of(copy) == whole) << budget;
  }
}

// Guard near_miss: the pairs stay in the file; each has its reference behind it.
TEST(ReferenceSnapshot, knows_the_near_forms_of_dangling_references_alone) {
  TestBucket bucket;
  std::vector<std::string> values;
  for (int i = 0; i < 3000; ++i) values.push_back("Key/" + std::to_string(i));
  bucket.add_source(values);
  bucket.add_source({"KEY/1", "plain"});
  auto snapshot = bucket.snapshot();
  ASSERT_TRUE(snapshot);
  for (int i = 0; i < 3000; i += 2) EXPECT_TRUE(has(*snapshot, "Key/" + std::to_string(i)));
  EXPECT_TRUE(has(*snapshot, "Key/1"));
  const auto is_near = [&](const std::string& form) { return snapshot->is_near_form_of_dangling(snapshot->fingerprinter()(form)).value(); };
  for (int i = 2; i < 3000; ++i) EXPECT_EQ(is_near("key/" + std::to_string(i)), i % 2 == 1) << i;
  EXPECT_TRUE(is_near("key/1")) << "KEY/1 of the other source dangles";
  EXPECT_FALSE(is_near("plain")) << "it is its own near form";
}

}  // namespace
}  // namespace heimdall
