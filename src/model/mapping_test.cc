#include "model/mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "model/mapping_text.h"

namespace heimdall {
namespace {

using Kind = Mapped::Kind;
using Keys = std::vector<std::string>;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using namespace std::string_literals;

MappingRules rules_for(KeyForm as) {
  MappingRules rules;
  rules.as = as;
  rules.bucket = "iq";
  rules.aliases = {"old-iq"};
  rules.other_buckets = {"audio"};
  rules.ignore_buckets = {"scratch"};
  rules.base_urls = {"https://cdn.example.com/media/", "https://proxy.example.com"};
  return rules;
}

Mapped map(const MappingRules& rules, std::string_view value, std::optional<std::string_view> bucket = std::nullopt) {
  Mapped out;
  out.protecting = {"left", "over"};
  out.primary = "left over";
  map_reference(rules, {value, bucket}, out);
  return out;
}
Mapped map(KeyForm as, std::string_view value, std::optional<std::string_view> bucket = std::nullopt) {
  return map(rules_for(as), value, bucket);
}

struct Case {
  KeyForm as;
  std::string value;
  Kind kind;
  Shape shape;
  std::string primary;
  Keys protecting;
};

class MappingTable : public ::testing::TestWithParam<Case> {};

TEST_P(MappingTable, reads) {
  const Case& expected = GetParam();
  const Mapped mapped = map(expected.as, expected.value);
  EXPECT_EQ(mapped.kind, expected.kind) << expected.value << ": " << mapped.why;
  EXPECT_EQ(to_string(mapped.shape), to_string(expected.shape)) << expected.value;
  EXPECT_EQ(mapped.primary, expected.primary) << expected.value;
  EXPECT_THAT(mapped.protecting, ::testing::UnorderedElementsAreArray(expected.protecting)) << expected.value;
  EXPECT_EQ(mapped.why.empty(), mapped.kind != Kind::unmapped) << mapped.why;
}

const Case kKeys[] = {
    {KeyForm::key, "", Kind::blank, Shape::blank, "", {}},
    {KeyForm::key, "a/b", Kind::this_bucket, Shape::plain, "a/b", {}},
    {KeyForm::key, "/a/b", Kind::this_bucket, Shape::leading_slash, "/a/b", {"a/b"}},
    {KeyForm::key, "//a", Kind::this_bucket, Shape::leading_slash, "//a", {"/a"}},
    {KeyForm::key, "/", Kind::this_bucket, Shape::leading_slash, "/", {}},
    {KeyForm::key, " ", Kind::this_bucket, Shape::plain, " ", {}},
    {KeyForm::key, "s3://audio/a%20b", Kind::this_bucket, Shape::plain, "s3://audio/a%20b", {}},
    {KeyForm::key, "a\0?#%+\xff"s, Kind::this_bucket, Shape::plain, "a\0?#%+\xff"s, {}},
};
INSTANTIATE_TEST_SUITE_P(Key, MappingTable, ::testing::ValuesIn(kKeys));

const Case kUris[] = {
    {KeyForm::uri, "s3://iq/a/b", Kind::this_bucket, Shape::uri, "a/b", {}},
    {KeyForm::uri, "S3://old-iq/a", Kind::this_bucket, Shape::uri, "a", {}},
    {KeyForm::uri, "s3://iq/a%20b?c#d+e", Kind::this_bucket, Shape::uri, "a%20b?c#d+e", {}},
    {KeyForm::uri, "s3://iq//a", Kind::this_bucket, Shape::uri, "/a", {}},
    {KeyForm::uri, "s3://audio/a", Kind::other_bucket, Shape::uri, "", {}},
    {KeyForm::uri, "s3://scratch/a", Kind::ignored, Shape::uri, "", {}},
    {KeyForm::uri, "s3://nowhere/a", Kind::unmapped, Shape::uri, "", {"s3://nowhere/a"}},
    {KeyForm::uri, "s3://IQ/a", Kind::unmapped, Shape::uri, "", {"s3://IQ/a"}},
    {KeyForm::uri, "s3://iq/", Kind::unmapped, Shape::uri, "", {"s3://iq/"}},
    {KeyForm::uri, "s3://iq", Kind::unmapped, Shape::uri, "", {"s3://iq"}},
    {KeyForm::uri, "s3://", Kind::unmapped, Shape::uri, "", {"s3://"}},
    {KeyForm::uri, "s3:///a", Kind::unmapped, Shape::uri, "", {"s3:///a"}},
    {KeyForm::uri, "a/b", Kind::unmapped, Shape::plain, "", {"a/b"}},
    {KeyForm::uri, "https://iq.s3.example.com/a", Kind::unmapped, Shape::url, "", {"https://iq.s3.example.com/a"}},
    {KeyForm::uri, "s3a://iq/a", Kind::unmapped, Shape::other, "", {"s3a://iq/a"}},
};
INSTANTIATE_TEST_SUITE_P(Uri, MappingTable, ::testing::ValuesIn(kUris));

const Case kUrls[] = {
    {KeyForm::url, "https://iq.s3.example.com/a/b", Kind::this_bucket, Shape::url, "a/b", {}},
    {KeyForm::url, "HTTP://user:pw@IQ.s3.example.com:9000/a", Kind::this_bucket, Shape::url, "a", {}},
    {KeyForm::url, "http://127.0.0.1:9000/iq/a/b", Kind::this_bucket, Shape::url, "a/b", {}},
    {KeyForm::url, "http://[::1]:9000/old-iq/a", Kind::this_bucket, Shape::url, "a", {}},
    {KeyForm::url, "http://s3/iq/a%20b", Kind::this_bucket, Shape::url, "a b", {"a%20b"}},
    {KeyForm::url, "http://s3/iq/a+b%2Fc", Kind::this_bucket, Shape::url, "a+b/c", {"a+b%2Fc", "a b/c"}},
    {KeyForm::url, "http://s3/iq/100%", Kind::this_bucket, Shape::url, "100%", {}},
    {KeyForm::url, "http://s3/iq/%zz%41", Kind::this_bucket, Shape::url, "%zzA", {"%zz%41"}},
    {KeyForm::url, "http://s3/iq/%00%FF", Kind::this_bucket, Shape::url, "\0\xff"s, {"%00%FF"}},
    {KeyForm::url, "http://s3/iq//a", Kind::this_bucket, Shape::url, "/a", {"a"}},
    // Dropped, but a writer who forgot to escape is not punished.
    {KeyForm::url, "http://s3/iq/a?X-Amz=1", Kind::this_bucket, Shape::url, "a", {"a?X-Amz=1"}},
    {KeyForm::url, "http://s3/iq/a#f", Kind::this_bucket, Shape::url, "a", {"a#f"}},
    // Both readings of one URL.
    {KeyForm::url, "http://iq.example.com/iq/a", Kind::this_bucket, Shape::url, "iq/a", {"a"}},
    {KeyForm::url, "https://cdn.example.com/media/a", Kind::this_bucket, Shape::url, "a", {}},
    {KeyForm::url, "HTTPS://CDN.example.com:443/media/a", Kind::this_bucket, Shape::url, "a", {}},
    {KeyForm::url, "https://proxy.example.com/a", Kind::this_bucket, Shape::url, "a", {}},
    {KeyForm::url, "https://proxy.example.com/iq/a", Kind::this_bucket, Shape::url, "iq/a", {"a"}},
    {KeyForm::url, "https://audio.s3.example.com/a", Kind::other_bucket, Shape::url, "", {}},
    {KeyForm::url, "http://s3/audio/a", Kind::other_bucket, Shape::url, "", {}},
    {KeyForm::url, "http://s3/scratch/a", Kind::ignored, Shape::url, "", {}},
    // Prefixes of names are other names: "/iqx/", "iqx.", "/mediax/".
    {KeyForm::url, "http://s3/iqx/a", Kind::unmapped, Shape::url, "", {"http://s3/iqx/a", "iqx/a"}},
    {KeyForm::url, "http://iqx.s3/a", Kind::unmapped, Shape::url, "", {"http://iqx.s3/a", "a"}},
    {KeyForm::url, "https://cdn.example.com/mediax/a", Kind::unmapped, Shape::url, "", {"https://cdn.example.com/mediax/a", "mediax/a"}},
    {KeyForm::url, "http://cdn.example.com/media/a", Kind::unmapped, Shape::url, "", {"http://cdn.example.com/media/a", "media/a"}},
    {KeyForm::url, "https://iq.s3.example.com/", Kind::unmapped, Shape::url, "", {"https://iq.s3.example.com/"}},
    {KeyForm::url, "https://iq.s3.example.com?a", Kind::unmapped, Shape::url, "", {"https://iq.s3.example.com?a"}},
    {KeyForm::url, "http://", Kind::unmapped, Shape::url, "", {"http://"}},
    // A page leaves the scheme to its reader. What a key that begins so would mean is kept as well.
    {KeyForm::url, "//iq.s3.example.com/a%20b?x", Kind::this_bucket, Shape::url, "a b",
     {"a%20b", "a b?x", "a%20b?x", "//iq.s3.example.com/a%20b?x", "/iq.s3.example.com/a%20b?x", "iq.s3.example.com/a%20b?x",
      "//iq.s3.example.com/a b?x", "/iq.s3.example.com/a b?x", "iq.s3.example.com/a b?x"}},
    {KeyForm::url, "//s3/old-iq/a", Kind::this_bucket, Shape::url, "a", {"//s3/old-iq/a", "/s3/old-iq/a", "s3/old-iq/a"}},
    {KeyForm::url, "//cdn.example.com/media/a", Kind::this_bucket, Shape::url, "a",
     {"//cdn.example.com/media/a", "/cdn.example.com/media/a", "cdn.example.com/media/a"}},
    {KeyForm::url, "//s3/audio/a", Kind::other_bucket, Shape::url, "", {}},
    {KeyForm::url, "//s3/scratch/a", Kind::ignored, Shape::url, "", {}},
    {KeyForm::url, "//s3/iqx/a", Kind::unmapped, Shape::url, "", {"//s3/iqx/a", "/s3/iqx/a", "s3/iqx/a", "iqx/a"}},
    {KeyForm::url, "//", Kind::unmapped, Shape::url, "", {"//", "/"}},
    {KeyForm::url, "/iq/a", Kind::unmapped, Shape::leading_slash, "", {"iq/a", "/iq/a", "a"}},
    {KeyForm::url, "./a", Kind::unmapped, Shape::plain, "", {"a", "./a"}},
    // What is no URL is unmapped, and all it may mean is kept.
    {KeyForm::url, "a/b", Kind::unmapped, Shape::plain, "", {"a/b"}},
    {KeyForm::url, "s3://iq/a", Kind::unmapped, Shape::uri, "", {"s3://iq/a", "a"}},
    {KeyForm::url, "s3://audio/a", Kind::unmapped, Shape::uri, "", {"s3://audio/a"}},
};
INSTANTIATE_TEST_SUITE_P(Url, MappingTable, ::testing::ValuesIn(kUrls));

const Case kAutomatic[] = {
    {KeyForm::automatic, "", Kind::blank, Shape::blank, "", {}},
    {KeyForm::automatic, "  ", Kind::this_bucket, Shape::plain, "  ", {}},
    {KeyForm::automatic, "a/b.npy", Kind::this_bucket, Shape::plain, "a/b.npy", {}},
    {KeyForm::automatic, "a/b?c#d", Kind::this_bucket, Shape::plain, "a/b?c#d", {}},
    {KeyForm::automatic, " a", Kind::this_bucket, Shape::plain, " a", {"a"}},
    {KeyForm::automatic, "a%20b", Kind::this_bucket, Shape::plain, "a%20b", {"a b"}},
    {KeyForm::automatic, "a+b", Kind::this_bucket, Shape::plain, "a+b", {"a b"}},
    {KeyForm::automatic, "a%2Bb+c", Kind::this_bucket, Shape::plain, "a%2Bb+c", {"a+b+c", "a+b c"}},
    {KeyForm::automatic, "/a", Kind::this_bucket, Shape::leading_slash, "a", {"/a"}},
    {KeyForm::automatic, "///a", Kind::this_bucket, Shape::leading_slash, "//a", {"///a", "a"}},
    {KeyForm::automatic, "//host/a", Kind::this_bucket, Shape::leading_slash, "/host/a", {"//host/a", "host/a", "a"}},
    {KeyForm::automatic, "/", Kind::this_bucket, Shape::leading_slash, "/", {}},
    {KeyForm::automatic, "/iq/a", Kind::this_bucket, Shape::leading_slash, "iq/a", {"/iq/a", "a"}},
    {KeyForm::automatic, "old-iq/a", Kind::this_bucket, Shape::plain, "old-iq/a", {"a"}},
    {KeyForm::automatic, "iq%2Fa", Kind::this_bucket, Shape::plain, "iq%2Fa", {"iq/a", "a"}},
    {KeyForm::automatic, "audio/a", Kind::this_bucket, Shape::plain, "audio/a", {}},
    {KeyForm::automatic, "s3://iq/a%20b", Kind::this_bucket, Shape::uri, "a%20b", {"a b"}},
    {KeyForm::automatic, "s3://iq//a", Kind::this_bucket, Shape::uri, "/a", {"a"}},
    {KeyForm::automatic, "\ns3://iq/a ", Kind::this_bucket, Shape::uri, "a ", {"a"}},
    {KeyForm::automatic, " https://proxy.example.com/a ", Kind::this_bucket, Shape::url, "a", {"a "}},
    {KeyForm::automatic, "s3://audio/a", Kind::other_bucket, Shape::uri, "", {}},
    {KeyForm::automatic, "s3://nowhere/a", Kind::unmapped, Shape::uri, "", {"s3://nowhere/a", "a"}},
    {KeyForm::automatic, "gopher://iq/a", Kind::unmapped, Shape::other, "", {"gopher://iq/a"}},
    {KeyForm::automatic, "a+b-c.1://x", Kind::unmapped, Shape::other, "", {"a+b-c.1://x", "a b-c.1://x"}},
    // As `find . -print0` writes names.
    {KeyForm::automatic, "./a/b", Kind::this_bucket, Shape::plain, "a/b", {"./a/b"}},
    {KeyForm::automatic, "././a", Kind::this_bucket, Shape::plain, "a", {"././a"}},
    {KeyForm::automatic, ".//a", Kind::this_bucket, Shape::plain, "a", {"/a", ".//a"}},
    {KeyForm::automatic, "./a%20b", Kind::this_bucket, Shape::plain, "a%20b", {"a b", "./a%20b", "./a b"}},
    {KeyForm::automatic, "./iq/a", Kind::this_bucket, Shape::plain, "iq/a", {"a", "./iq/a"}},
    {KeyForm::automatic, "./", Kind::this_bucket, Shape::plain, "./", {}},
    {KeyForm::automatic, ".", Kind::this_bucket, Shape::plain, ".", {}},
    {KeyForm::automatic, "../a", Kind::this_bucket, Shape::plain, "../a", {}},
    {KeyForm::automatic, ".a", Kind::this_bucket, Shape::plain, ".a", {}},
    {KeyForm::automatic, "a/./b", Kind::this_bucket, Shape::plain, "a/./b", {}},
    // As pages write URLs, which leave the scheme to their reader. The key it also may be stays the primary meaning.
    {KeyForm::automatic, "//s3/iq/a", Kind::this_bucket, Shape::leading_slash, "/s3/iq/a", {"//s3/iq/a", "s3/iq/a", "a"}},
    {KeyForm::automatic, "//user@IQ.s3:9000/a", Kind::this_bucket, Shape::leading_slash, "/user@IQ.s3:9000/a",
     {"//user@IQ.s3:9000/a", "user@IQ.s3:9000/a", "a"}},
    {KeyForm::automatic, "//old-iq.s3/a%2Fb#f", Kind::this_bucket, Shape::leading_slash, "/old-iq.s3/a%2Fb#f",
     {"//old-iq.s3/a%2Fb#f", "old-iq.s3/a%2Fb#f", "//old-iq.s3/a/b#f", "/old-iq.s3/a/b#f", "old-iq.s3/a/b#f", "a/b", "a%2Fb", "a/b#f", "a%2Fb#f"}},
    {KeyForm::automatic, "//CDN.example.com/media/a", Kind::this_bucket, Shape::leading_slash, "/CDN.example.com/media/a",
     {"//CDN.example.com/media/a", "CDN.example.com/media/a", "a"}},
    {KeyForm::automatic, "//cdn.example.com:443/media/a", Kind::this_bucket, Shape::leading_slash, "/cdn.example.com:443/media/a",
     {"//cdn.example.com:443/media/a", "cdn.example.com:443/media/a", "a"}},
    {KeyForm::automatic, "//cdn.example.com:80/media/a", Kind::this_bucket, Shape::leading_slash, "/cdn.example.com:80/media/a",
     {"//cdn.example.com:80/media/a", "cdn.example.com:80/media/a", "media/a"}},
    {KeyForm::automatic, "\t//s3/iq/a", Kind::this_bucket, Shape::plain, "\t//s3/iq/a", {"//s3/iq/a", "/s3/iq/a", "s3/iq/a", "a"}},
    // Never unmapped, and another bucket's URL adds nothing.
    {KeyForm::automatic, "//s3/audio/a", Kind::this_bucket, Shape::leading_slash, "/s3/audio/a", {"//s3/audio/a", "s3/audio/a"}},
    {KeyForm::automatic, "//scratch.s3/a", Kind::this_bucket, Shape::leading_slash, "/scratch.s3/a", {"//scratch.s3/a", "scratch.s3/a"}},
    {KeyForm::automatic, "//iq.s3", Kind::this_bucket, Shape::leading_slash, "/iq.s3", {"//iq.s3", "iq.s3"}},
    {KeyForm::automatic, "//", Kind::this_bucket, Shape::leading_slash, "/", {"//"}},
    // No scheme begins with a digit or holds a blank, and "data:" has no "//".
    {KeyForm::automatic, "1a://x", Kind::this_bucket, Shape::plain, "1a://x", {}},
    {KeyForm::automatic, "a b://x", Kind::this_bucket, Shape::plain, "a b://x", {}},
    {KeyForm::automatic, "data:x", Kind::this_bucket, Shape::plain, "data:x", {}},
    {KeyForm::automatic, "2024-01-01T00:00:00Z.npy", Kind::this_bucket, Shape::plain, "2024-01-01T00:00:00Z.npy", {}},
};
INSTANTIATE_TEST_SUITE_P(Automatic, MappingTable, ::testing::ValuesIn(kAutomatic));

const Case kPrefixes[] = {
    {KeyForm::prefix, "a/b", Kind::this_bucket, Shape::prefix, "a/b/", {"a/b"}},
    {KeyForm::prefix, "a/b/", Kind::this_bucket, Shape::prefix, "a/b/", {"a/b"}},
    {KeyForm::prefix, "/a/b/", Kind::this_bucket, Shape::prefix, "a/b/", {"a/b", "/a/b"}},
    {KeyForm::prefix, "s3://iq/a%20b", Kind::this_bucket, Shape::prefix, "a%20b/", {"a%20b"}},
    {KeyForm::prefix, "s3://audio/a", Kind::other_bucket, Shape::prefix, "", {}},
    // Invariant 4, the other way round: an empty folder would switch the collector off without a word.
    {KeyForm::prefix, "/", Kind::unmapped, Shape::prefix, "", {"/"}},
    {KeyForm::prefix, "///", Kind::unmapped, Shape::prefix, "", {"///"}},
    {KeyForm::prefix, "s3://iq/", Kind::unmapped, Shape::prefix, "", {"s3://iq/"}},
    {KeyForm::prefix, "https://cdn.example.com/media/a", Kind::unmapped, Shape::url, "", {"https://cdn.example.com/media/a"}},
};
INSTANTIATE_TEST_SUITE_P(Prefix, MappingTable, ::testing::ValuesIn(kPrefixes));

// The trap that made every object an orphan, and the one that lost the metadata beside it.
TEST(Mapping, reads_the_platforms_own_values) {
  MappingRules rules;
  rules.bucket = "heimdall-raw-iq";
  rules.companions.push_back(CompanionTemplate::parse("{dir}/{stem}_metadata.json").value());
  const Mapped mapped = map(rules, "s3://heimdall-raw-iq/sessions/7/websdr-1.npy");
  EXPECT_EQ(mapped.primary, "sessions/7/websdr-1.npy");
  EXPECT_THAT(mapped.protecting, ElementsAre("sessions/7/websdr-1_metadata.json"));
}

TEST(Mapping, the_rows_bucket_decides) {
  EXPECT_EQ(map(KeyForm::key, "a", "iq").primary, "a");
  EXPECT_EQ(map(KeyForm::key, "a", "old-iq").primary, "a");
  EXPECT_EQ(map(KeyForm::key, "a", "audio").kind, Kind::other_bucket);
  EXPECT_EQ(map(KeyForm::key, "a", "scratch").kind, Kind::ignored);
  EXPECT_EQ(map(KeyForm::key, "", "nowhere").kind, Kind::blank);
  EXPECT_THAT(map(KeyForm::key, "a", "audio").protecting, IsEmpty());
  EXPECT_EQ(map(KeyForm::automatic, "gopher://x", "audio").kind, Kind::other_bucket);
}

// Invariant 4: unknown means keep.
TEST(Mapping, a_row_of_an_unknown_bucket_keeps_what_it_may_mean) {
  for (std::string_view bucket : {"", " ", "nowhere", "IQ"}) {
    const Mapped mapped = map(KeyForm::automatic, "/a%20b", bucket);
    EXPECT_EQ(mapped.kind, Kind::unmapped);
    EXPECT_EQ(mapped.primary, "");
    EXPECT_THAT(mapped.protecting, UnorderedElementsAre("/a%20b", "a%20b", "/a b", "a b"));
    EXPECT_THAT(mapped.why, HasSubstr("bucket"));
  }
}

TEST(Mapping, with_a_bucket_the_key_is_literal_first) {
  const Mapped mapped = map(KeyForm::automatic, "/a%20b", "iq");
  EXPECT_EQ(mapped.primary, "/a%20b");
  EXPECT_THAT(mapped.protecting, UnorderedElementsAre("a%20b", "/a b", "a b"));
}

TEST(Mapping, with_a_bucket_a_dot_and_a_slash_are_literal_first) {
  const Mapped mapped = map(KeyForm::automatic, "./a", "iq");
  EXPECT_EQ(mapped.primary, "./a");
  EXPECT_THAT(mapped.protecting, ElementsAre("a"));
}

TEST(Mapping, a_url_without_a_scheme_is_served_by_a_base_url_of_either) {
  MappingRules rules = rules_for(KeyForm::automatic);
  rules.base_urls = {"http://plain.example.com/media"};
  for (const char* value : {"//plain.example.com/media/a", "//plain.example.com:80/media/a"}) {
    EXPECT_THAT(map(rules, value).protecting, ::testing::Contains("a")) << value;
  }
  EXPECT_THAT(map(rules, "//plain.example.com:443/media/a").protecting, ::testing::Not(::testing::Contains("a")));
}

// Invariant 4: what a URL means is kept, also where its scheme was left out.
RC_GTEST_PROP(Mapping, a_url_without_a_scheme_keeps_all_that_it_means_with_one, (const std::string& tail)) {
  const MappingRules rules = rules_for(KeyForm::automatic);
  const auto start = *rc::gen::element(""s, "iq."s, "iq.s3/"s, "s3/iq/"s, "s3/old-iq//"s, "cdn.example.com/media/"s, "proxy.example.com/iq/"s, "audio."s);
  const Mapped without = map(rules, "//" + start + tail);
  RC_ASSERT(without.kind == Kind::this_bucket);
  RC_ASSERT(without.primary == "/" + start + tail);
  const Mapped with = map(rules, "https://" + start + tail);
  if (with.kind != Kind::this_bucket) return;
  Keys keys = with.protecting;
  keys.push_back(with.primary);
  for (const std::string& key : keys) RC_ASSERT(key == without.primary || std::count(without.protecting.begin(), without.protecting.end(), key) == 1);
}

TEST(Mapping, a_value_that_names_its_bucket_is_believed) {
  EXPECT_EQ(map(KeyForm::automatic, "s3://iq/a", "audio").primary, "a");
  EXPECT_EQ(map(KeyForm::automatic, "s3://iq/a", "").primary, "a");
  EXPECT_EQ(map(KeyForm::automatic, "http://s3/iq/a", "scratch").primary, "a");
  const Mapped elsewhere = map(KeyForm::automatic, "s3://audio/a", "iq");
  EXPECT_EQ(elsewhere.kind, Kind::other_bucket);
  EXPECT_THAT(elsewhere.protecting, ElementsAre("s3://audio/a"));
  EXPECT_EQ(map(KeyForm::key, "s3://iq/a", "audio").kind, Kind::other_bucket);
}

TEST(Mapping, every_meaning_has_its_companions) {
  MappingRules rules = rules_for(KeyForm::automatic);
  rules.companions.push_back(CompanionTemplate::parse("{key}.sha256").value());
  EXPECT_THAT(map(rules, "a%20b").protecting, UnorderedElementsAre("a b", "a b.sha256", "a%20b.sha256"));
  EXPECT_THAT(map(rules, "gopher://x").protecting, UnorderedElementsAre("gopher://x", "gopher://x.sha256"));
  EXPECT_THAT(map(rules, "s3://audio/x").protecting, IsEmpty());
  rules.as = KeyForm::prefix;
  EXPECT_THAT(map(rules, "a/").protecting, ElementsAre("a"));
}

TEST(Mapping, why_names_the_bucket_and_drives_no_terminal) {
  EXPECT_THAT(map(KeyForm::automatic, "s3://now\x1bhere/a").why, HasSubstr("'now\\x1bhere'"));
  EXPECT_LT(map(KeyForm::automatic, "s3://" + std::string(100'000, 'x') + "/a").why.size(), 200U);
}

// Bound of time: values come from rows that anybody may have written.
TEST(Mapping, megabytes_are_linear) {
  MappingRules rules = rules_for(KeyForm::automatic);
  rules.companions.push_back(CompanionTemplate::parse("{dir}/{stem}.x").value());
  for (const std::string& piece : {"/"s, "%"s, "%2F"s, "+"s, " "s, "a"s, "a/"s, "./"s, "iq/"s, "?"s, "\0"s}) {
    std::string value;
    while (value.size() < 2'000'000) value += piece;
    for (const char* before : {"", "s3://", "s3://iq/", "http://", "http://s3/iq/", "http://iq.", "//s3/iq/", "./"}) {
      EXPECT_NE(map(rules, before + value).kind, Kind::blank);
    }
  }
}

RC_GTEST_PROP(Mapping, what_it_promises_of_any_bytes, (const std::string& tail)) {
  MappingRules rules = rules_for(*rc::gen::element(KeyForm::automatic, KeyForm::key, KeyForm::uri, KeyForm::url, KeyForm::prefix));
  if (*rc::gen::arbitrary<bool>()) rules.companions.push_back(CompanionTemplate::parse("{dir}/{name}.x").value());
  const auto start = *rc::gen::element(""s, "/"s, "./"s, "//"s, "//iq."s, "//s3/iq/"s, "s3://iq/"s, "s3://"s, "http://"s, "http://iq."s, "http://s3/iq/"s, "x://"s, " s3://iq/"s);
  const auto bucket = *rc::gen::element<std::optional<std::string_view>>(std::nullopt, "iq", "audio", "", "nowhere");
  const std::string value = start + tail;
  const Mapped mapped = map(rules, value, bucket);
  RC_ASSERT((mapped.kind == Kind::blank) == value.empty());
  RC_ASSERT((mapped.kind == Kind::this_bucket) == !mapped.primary.empty());
  RC_ASSERT((mapped.kind == Kind::unmapped) == !mapped.why.empty());
  for (std::size_t i = 0; i < mapped.protecting.size(); ++i) {
    RC_ASSERT(!mapped.protecting[i].empty() && mapped.protecting[i] != mapped.primary);
    RC_ASSERT(std::count(mapped.protecting.begin(), mapped.protecting.end(), mapped.protecting[i]) == 1);
  }
  if (mapped.kind == Kind::unmapped) RC_ASSERT(std::count(mapped.protecting.begin(), mapped.protecting.end(), value) == 1);
  if (rules.as == KeyForm::prefix && !mapped.primary.empty()) RC_ASSERT(mapped.primary.ends_with('/'));
}

TEST(MappingText, a_companion_takes_its_fields_from_the_key) {
  const auto expand = [](std::string_view text, std::string_view key) { return CompanionTemplate::parse(text).value().expand(key); };
  EXPECT_EQ(expand("{key}|{dir}|{name}|{stem}|{ext}", "a/b/c.npy"), "a/b/c.npy|a/b|c.npy|c|npy");
  EXPECT_EQ(expand("{dir}/{stem}_metadata.json", "a/b/c.npy"), "a/b/c_metadata.json");
  EXPECT_EQ(expand("{dir}/{stem}_metadata.json", "c.npy"), "c_metadata.json");
  EXPECT_EQ(expand("{dir}/{stem}_metadata.json", "/c.npy"), "/c_metadata.json");
  EXPECT_EQ(expand("t/{dir}/{name}", "c"), "t/c");
  EXPECT_EQ(expand("{stem}|{ext}", "d/.env"), ".env|");
  EXPECT_EQ(expand("{stem}|{ext}", "a.tar.gz"), "a.tar|gz");
  EXPECT_EQ(expand("{stem}|{ext}", "a."), "a|");
  EXPECT_EQ(expand("{stem}|{ext}", "v1.2/readme"), "readme|");
  EXPECT_EQ(expand("{dir}/{name}x", "a/"), "a/x");
  EXPECT_EQ(expand("{key}}", "a"), "a}");
}

TEST(MappingText, a_companion_without_a_known_field_is_refused) {
  for (const char* text : {"{keys}.x", "{}", "{key", "{Key}", "plain", ""}) {
    const auto parsed = CompanionTemplate::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(parsed.error().hint, HasSubstr("{key} {dir} {name} {stem} {ext}"));
  }
  EXPECT_THAT(CompanionTemplate::parse("{keys}.x").error().message, HasSubstr("'{keys}'"));
}

TEST(MappingText, only_a_key_between_literals_can_be_inverted) {
  const auto parse = [](std::string_view text) { return CompanionTemplate::parse(text).value(); };
  EXPECT_EQ(parse("thumbs/{key}.jpg").invert("thumbs/a/b.jpg"), "a/b");
  EXPECT_EQ(parse("{key}").invert("a"), "a");
  EXPECT_FALSE(parse("thumbs/{key}.jpg").invert("thumbs/.jpg"));
  EXPECT_FALSE(parse("thumbs/{key}.jpg").invert("thumbs/a.png"));
  EXPECT_FALSE(parse("aa{key}aa").invert("aaa"));
  for (const char* text : {"{dir}/{name}", "{key}{key}", "{key}.{ext}"}) {
    EXPECT_FALSE(parse(text).has_exact_inverse()) << text;
    EXPECT_FALSE(parse(text).invert("a/b")) << text;
  }
}

RC_GTEST_PROP(MappingText, encoding_is_undone_by_decoding, (const std::string& key)) {
  const std::string encoded = percent_encoded(key);
  RC_ASSERT(percent_decoded(encoded, Plus::literal).value_or(encoded) == key);
  RC_ASSERT(percent_decoded(encoded, Plus::blank).value_or(encoded) == key);
}

}  // namespace
}  // namespace heimdall
