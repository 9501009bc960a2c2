#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "model/mapping.h"

namespace heimdall {
namespace {

using Keys = std::vector<std::string>;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using namespace std::string_literals;

MappingRules rules_for(KeyForm as, const std::vector<std::string>& companions = {}) {
  MappingRules rules;
  rules.as = as;
  rules.bucket = "b";
  rules.aliases = {"c"};
  rules.other_buckets = {"o"};
  rules.ignore_buckets = {"i"};
  rules.base_urls = {"https://cdn.example.com/media/"};
  for (const std::string& text : companions) rules.companions.push_back(CompanionTemplate::parse(text).value());
  return rules;
}

Keys meanings(const MappingRules& rules, std::string_view value, std::optional<std::string_view> bucket = std::nullopt) {
  Mapped mapped;
  map_reference(rules, {value, bucket}, mapped);
  Keys all = mapped.protecting;
  if (!mapped.primary.empty()) all.push_back(mapped.primary);
  return all;
}

bool holds(const Keys& keys, std::string_view key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); }

TEST(Spellings, of_keys_and_uris_are_all_there_are) {
  EXPECT_THAT(spellings(rules_for(KeyForm::key), "a/b"), UnorderedElementsAre("a/b", "/a/b"));
  EXPECT_THAT(spellings(rules_for(KeyForm::key), "/a"), UnorderedElementsAre("/a", "//a"));
  EXPECT_THAT(spellings(rules_for(KeyForm::uri), "a"), UnorderedElementsAre("a", "s3://b/a", "S3://b/a", "s3://c/a", "S3://c/a"));
  EXPECT_THAT(spellings(rules_for(KeyForm::key), ""), IsEmpty());
  // As a value this one names another bucket.
  EXPECT_THAT(spellings(rules_for(KeyForm::uri), "s3://o/a"),
              UnorderedElementsAre("s3://b/s3://o/a", "S3://b/s3://o/a", "s3://c/s3://o/a", "S3://c/s3://o/a"));
}

TEST(Spellings, follow_companions_back) {
  EXPECT_THAT(spellings(rules_for(KeyForm::key, {"{key}.sha256"}), "a.sha256"),
              UnorderedElementsAre("a.sha256", "/a.sha256", "a", "/a"));
  EXPECT_THAT(spellings(rules_for(KeyForm::key, {"{key}.sha256"}), ".sha256"), UnorderedElementsAre(".sha256", "/.sha256"));
}

TEST(Spellings, of_other_forms_are_the_usual_ones) {
  EXPECT_THAT(spellings(rules_for(KeyForm::url), "a b"), ::testing::IsSupersetOf({"https://s3.example.com/b/a%20b"s, "https://b.s3.example.com/a%20b"s,
                                                                                 "https://c.s3.example.com/a%20b"s,
                                                                                 "https://cdn.example.com/media/a%20b"s}));
  EXPECT_THAT(spellings(rules_for(KeyForm::automatic), "a"), ::testing::IsSupersetOf({"a"s, "/a"s, "s3://b/a"s, "S3://c/a"s, "https://cdn.example.com/media/a"s}));
  EXPECT_THAT(spellings(rules_for(KeyForm::prefix), "a/"), ::testing::IsSupersetOf({"a/"s, "/a/"s, "s3://b/a/"s}));
}

TEST(Spellings, can_be_complete_only_where_the_mapping_is_literal) {
  EXPECT_TRUE(is_invertible(rules_for(KeyForm::key, {"{key}.x", "y/{key}"})));
  EXPECT_TRUE(is_invertible(rules_for(KeyForm::uri)));
  EXPECT_FALSE(is_invertible(rules_for(KeyForm::key, {"{dir}/{stem}.x"})));
  for (KeyForm as : {KeyForm::automatic, KeyForm::url, KeyForm::prefix}) EXPECT_FALSE(is_invertible(rules_for(as)));
}

rc::Gen<std::string> texts() {
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(rc::gen::element(
                          "a"s, "/"s, "."s, ".x"s, "s3://"s, "S3://"s, "b/"s, "c/"s, "o/"s, "i/"s, "%2F"s, "+"s, "http://"s, "y/"s, " "s, "\0"s, "\xff"s)),
                      [](const std::vector<std::string>& pieces) {
                        std::string text;
                        for (const std::string& piece : pieces) text += piece;
                        return text;
                      });
}

rc::Gen<std::vector<std::string>> exact_companions() {
  return rc::gen::element(Keys{}, Keys{"{key}.x"}, Keys{"y/{key}", "{key}"}, Keys{"{key}.x", "{key}.x.x", "/{key}"});
}

// Invariant 1 rests on this: the recheck asks for spellings, and must see whatever row the snapshot would have seen.
RC_GTEST_PROP(Spellings, are_the_whole_preimage_where_it_can_be_inverted, ()) {
  const MappingRules rules = rules_for(*rc::gen::element(KeyForm::key, KeyForm::uri), *exact_companions());
  RC_ASSERT(is_invertible(rules));
  const std::string value = *texts();
  const auto bucket = *rc::gen::element<std::optional<std::string_view>>(std::nullopt, "b", "c", "o", "nowhere", "");
  for (const std::string& key : meanings(rules, value, bucket)) {
    const Keys spelled = spellings(rules, key);
    RC_ASSERT(holds(spelled, value));
    for (const std::string& spelling : spelled) RC_ASSERT(holds(meanings(rules, spelling), key));
  }
}

// Whatever is written is read back, in every form and for any bytes.
RC_GTEST_PROP(Spellings, are_read_back, ()) {
  const MappingRules rules = rules_for(*rc::gen::element(KeyForm::automatic, KeyForm::key, KeyForm::uri, KeyForm::url, KeyForm::prefix));
  const std::string key = *rc::gen::oneOf(texts(), rc::gen::arbitrary<std::string>());
  const Keys spelled = spellings(rules, key);
  for (const std::string& spelling : spelled) RC_ASSERT(holds(meanings(rules, spelling), key));
  if (key.empty()) return;
  // Nor is the mapping allowed to drop the spellings that a form is there for.
  if (rules.as == KeyForm::key) RC_ASSERT(holds(spelled, key));
  if (rules.as != KeyForm::key && rules.as != KeyForm::prefix) RC_ASSERT(holds(spelled, "s3://b/" + key));
  if (rules.as == KeyForm::automatic || rules.as == KeyForm::url) {
    RC_ASSERT(std::count_if(spelled.begin(), spelled.end(), [](const std::string& s) { return s.starts_with("https://"); }) >= 5);
  }
}

}  // namespace
}  // namespace heimdall
