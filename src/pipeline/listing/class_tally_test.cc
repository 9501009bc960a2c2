#include "pipeline/listing/class_tally.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

namespace heimdall {
namespace {

using Kept = ClassTally::Kept;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> names_of(const ClassTally& tally) {
  std::vector<std::string> names;
  for (const UnreferencedClass& found : tally.unreferenced()) names.push_back(found.name);
  return names;
}

void add_many(ClassTally& tally, const std::string& folder, const std::string& extension, int count, Kept kept = Kept::no) {
  for (int i = 0; i < count; ++i) tally.add(folder + std::to_string(100 + i) + extension, kept);
}

TEST(ClassTally, reports_a_class_at_its_limit_and_not_below) {
  ClassTally tally(10);
  add_many(tally, "a/", ".npy", 10);
  add_many(tally, "b/", ".npy", 9);
  EXPECT_THAT(names_of(tally), ElementsAre("a/*.npy"));
  EXPECT_EQ(tally.unreferenced()[0].objects, 10U);
}

TEST(ClassTally, one_kept_object_vouches_for_its_class_alone) {
  ClassTally tally(10);
  add_many(tally, "a/", ".json", 20);
  add_many(tally, "a/", ".npy", 20);
  tally.add("a/x.npy", Kept::yes);
  EXPECT_THAT(names_of(tally), ElementsAre("a/*.json"));
}

TEST(ClassTally, counts_below_the_first_segment_together) {
  ClassTally tally(10);
  add_many(tally, "a/b/", ".npy", 5);
  add_many(tally, "a/c/d/", ".npy", 5);
  EXPECT_THAT(names_of(tally), ElementsAre("a/*.npy"));
}

TEST(ClassTally, files_at_the_top_are_a_class_wherever_they_lie_between_folders) {
  ClassTally tally(3);
  tally.add("a.npy", Kept::no);
  tally.add("b/1", Kept::yes);
  tally.add("c.npy", Kept::no);
  tally.add("d/1", Kept::yes);
  tally.add("e.npy", Kept::no);
  EXPECT_THAT(names_of(tally), ElementsAre("*.npy"));
}

TEST(ClassTally, takes_only_what_looks_like_one_for_an_extension) {
  ClassTally tally(1);
  for (const char* key : {"a/.hidden", "a/1.2", "a/name.not-an-extension", "a/v1.5/plain", "a/end."}) tally.add(key, Kept::no);
  EXPECT_EQ(tally.unreferenced().size(), 1U);
  EXPECT_THAT(names_of(tally), ElementsAre("a/*"));
}

TEST(ClassTally, zero_turns_it_off) {
  ClassTally tally(0);
  add_many(tally, "a/", ".npy", 5);
  EXPECT_THAT(names_of(tally), IsEmpty());
}

TEST(ClassTally, a_segment_that_two_ranges_share_is_one_segment) {
  ClassTally left(10);
  add_many(left, "a/", ".npy", 3, Kept::yes);
  add_many(left, "b/", ".npy", 6);
  ClassTally right(10);
  add_many(right, "b/2", ".npy", 6);
  add_many(right, "c/", ".npy", 3, Kept::yes);
  ClassTally all(10);
  all.merge(left);
  all.merge(right);
  EXPECT_THAT(names_of(all), ElementsAre("b/*.npy"));
}

TEST(ClassTally, a_kept_object_in_the_neighbouring_range_counts) {
  ClassTally left(10);
  add_many(left, "b/", ".npy", 20);
  ClassTally right(10);
  right.add("b/9.npy", Kept::yes);
  ClassTally all(10);
  all.merge(left);
  all.merge(right);
  EXPECT_THAT(names_of(all), IsEmpty());
}

// Leaving segments behind saves memory and must change no answer, however the listing was cut.
RC_GTEST_PROP(ClassTally, counts_as_a_map_does, ()) {
  constexpr std::uint64_t kLimit = 4;
  std::map<std::string, bool> keys;
  const auto number = rc::gen::inRange(0, 8);
  for (int n = *rc::gen::inRange(0, 120); n > 0; --n) {
    const std::string folder = *rc::gen::element<std::string>("", "a/", "b/", "c/", "c/d/", "e/");
    const std::string extension = *rc::gen::element<std::string>(".npy", ".json", "");
    keys[folder + "k" + std::to_string(*number) + std::to_string(*number) + extension] = *rc::gen::inRange(0, 12) == 0;
  }
  struct Count {
    std::uint64_t objects = 0;
    bool kept = false;
  };
  std::map<std::string, Count> model;
  std::vector<ClassTally> parts;
  parts.emplace_back(kLimit);
  for (const auto& [key, kept] : keys) {
    const std::string folder = key.find('/') == std::string::npos ? "" : key.substr(0, 2);
    const std::string extension = key.find('.') == std::string::npos ? "" : key.substr(key.find('.'));
    Count& count = model[folder + "*" + extension];
    ++count.objects;
    count.kept = count.kept || kept;
    if (*rc::gen::inRange(0, 20) == 0) parts.emplace_back(kLimit);
    parts.back().add(key, kept ? Kept::yes : Kept::no);
  }
  ClassTally all(kLimit);
  for (const ClassTally& part : parts) all.merge(part);
  std::map<std::string, std::uint64_t> expected;
  for (const auto& [name, count] : model) {
    if (!count.kept && count.objects >= kLimit) expected[name] = count.objects;
  }
  std::map<std::string, std::uint64_t> found;
  for (const UnreferencedClass& each : all.unreferenced()) found[each.name] = each.objects;
  RC_ASSERT(found == expected);
}

}  // namespace
}  // namespace heimdall
