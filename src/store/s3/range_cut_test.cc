#include "store/s3/range_cut.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "base/text.h"

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

bool holds(const ListRange& range, std::string_view key) {
  return key.starts_with(range.prefix) && key > range.after && (range.until.empty() || key <= range.until);
}

std::vector<std::string> bounds_of(const std::vector<ListRange>& parts) {
  std::vector<std::string> bounds;
  for (const ListRange& part : parts) bounds.push_back(part.until);
  return bounds;
}

std::vector<Stem> even(const std::vector<std::string>& names) {
  std::vector<Stem> stems;
  for (const std::string& name : names) stems.push_back({name, 1.0 / static_cast<double>(names.size())});
  return stems;
}

std::vector<std::string> texts_of(const std::vector<Stem>& stems) {
  std::vector<std::string> texts;
  for (const Stem& stem : stems) texts.push_back(stem.text);
  return texts;
}

TEST(RangeCut, the_sample_is_cut_in_equal_parts) {
  const std::vector<std::string> sample = {"a", "b", "c", "d", "e", "f", "g", "h"};
  EXPECT_THAT(bounds_of(cut_at_sample({"", "", ""}, 4, sample)), ElementsAre("c", "e", "g", ""));
  EXPECT_THAT(bounds_of(cut_at_sample({"", "c", "g"}, 2, sample)), ElementsAre("e", "g"));
}

TEST(RangeCut, without_a_sample_inside_nothing_is_cut) {
  const std::vector<std::string> sample = {"a", "z"};
  EXPECT_THAT(bounds_of(cut_at_sample({"m/", "", ""}, 8, sample)), ElementsAre(""));
  EXPECT_THAT(bounds_of(cut_at_sample({"", "a", "z"}, 8, sample)), ElementsAre("z"));
  EXPECT_THAT(bounds_of(cut_at_sample({"", "", ""}, 8, {})), ElementsAre(""));
}

TEST(RangeCut, names_are_joined_by_what_they_share) {
  const auto names = even({"d/10/", "d/11/", "d/20/", "d/21/"});
  EXPECT_THAT(texts_of(join_names(names, 1.0)), ElementsAre("d/"));
  EXPECT_THAT(texts_of(join_names(names, 0.5)), ElementsAre("d/1", "d/2"));
  EXPECT_THAT(texts_of(join_names(names, 0.3)), ElementsAre("d/10/", "d/11/", "d/20/", "d/21/"));
}

TEST(RangeCut, a_name_that_begins_others_stands_alone) {
  EXPECT_THAT(texts_of(join_names(even({"a", "a-1", "a/", "b"}), 0.25)), ElementsAre("a", "a-1", "a/", "b"));
}

TEST(RangeCut, a_stem_never_ends_inside_of_a_character) {
  // U+00E4 and U+00E5 share their first byte.
  EXPECT_THAT(texts_of(join_names(even({"x\u00E4/", "x\u00E5/"}), 1.0)), ElementsAre("x"));
  EXPECT_THAT(texts_of(join_names(even({"x\u00E4/", "x\u00E5/"}), 0.5)), ElementsAre("x\u00E4/", "x\u00E5/"));
}

TEST(RangeCut, the_bound_before_a_stem_parts_it_from_all_keys_before) {
  const std::string bound = bound_before("d/2");
  for (const char* key : {"d/", "d/1", "d/1zzz", "d/1\U0010FFFF\U0010FFFF", "d/1\u7FFF/x"}) EXPECT_LE(std::string(key), bound);
  for (const char* key : {"d/2", "d/2/", "d/20", "d/3"}) EXPECT_GT(std::string(key), bound);
}

TEST(RangeCut, parts_at_stems_are_narrowed_to_them) {
  const auto parts = cut_at_stems({"d/", "", ""}, even({"d/1", "d/2", "d/7/"}));
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0].narrowed, "d/1");
  EXPECT_EQ(parts[1].narrowed, "d/2");
  EXPECT_EQ(parts[2].narrowed, "d/7/");
  EXPECT_EQ(parts[2].until, "");
}

TEST(RangeCut, what_was_listed_already_is_not_cut_off) {
  const auto stems = even({"d/1", "d/2", "d/3", "d/4", "d/5"});
  const auto parts = cut_off_half({"d/", "d/2/x", ""}, stems);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].after, "d/2/x");
  EXPECT_EQ(parts[0].until, bound_before("d/5"));
  EXPECT_EQ(parts[1].narrowed, "d/5");
  EXPECT_THAT(bounds_of(cut_off_half({"d/", "d/5/x", ""}, stems)), ElementsAre(""));
}

TEST(RangeCut, likely_cuts_lie_inside_the_range_outermost_directory_first) {
  EXPECT_THAT(likely_cuts({"", "a/b/3f", ""}), ElementsAre("a0", "a/b0", "a/b/Y", "a/b/4", "a/b/3r", "a/b/3g"));
  for (const std::string& cut : likely_cuts({"a/", "a/b/3f", "a/b/5"})) EXPECT_TRUE(holds({"a/", "a/b/3f", "a/b/5"}, cut)) << cut;
  EXPECT_THAT(likely_cuts({"a/", "a/b\x01", "a/b\x02"}), IsEmpty());
}

// Random names in a directory tree, odd characters among them. What split() promises: the parts tile, and each name lies in the one part
// whose listing will find it.
TEST(RangeCut, every_name_lies_in_one_part_that_is_narrowed_to_a_beginning_of_it) {
  constexpr const char* kPieces[] = {"a", "b", "-", ".", " ", "/", "0", "\u00E4", "\u00E5", "\U0001F600", "~", "d/", "\u7FFF"};
  std::mt19937 random(20261125);
  for (int round = 0; round < 3000; ++round) {
    const std::string prefix = random() % 2 == 0 ? "" : "p/";
    std::set<std::string> names;
    for (auto n = random() % 30; n > 0; --n) {
      std::string name = prefix;
      for (auto k = random() % 5 + 1; k > 0; --k) name += kPieces[random() % std::size(kPieces)];
      names.insert(std::move(name));
    }
    std::vector<Stem> weighed;
    for (const std::string& name : names) weighed.push_back({name, static_cast<double>(random() % 100) / 1000.0});
    ListRange whole{prefix, "", ""};
    if (!names.empty() && random() % 2 == 0) whole.after = *std::next(names.begin(), static_cast<std::ptrdiff_t>(random() % names.size())) + "/x";
    if (!names.empty() && random() % 4 == 0) whole.until = *names.rbegin();
    if (!whole.until.empty() && whole.after >= whole.until) continue;
    const auto stems = join_names(weighed, static_cast<double>(random() % 100) / 300.0);
    for (const auto& parts : {cut_at_stems(whole, stems), cut_off_half(whole, stems)}) {
      EXPECT_EQ(parts.front().after, whole.after);
      EXPECT_EQ(parts.back().until, whole.until);
      for (std::size_t i = 1; i < parts.size(); ++i) EXPECT_EQ(parts[i].after, parts[i - 1].until);
      for (const std::string& name : names) {
        if (!holds(whole, name)) continue;
        const auto part = std::ranges::find_if(parts, [&](const ListRange& each) { return holds(each, name); });
        ASSERT_NE(part, parts.end()) << printable(name);
        EXPECT_TRUE(name.starts_with(part->narrowed)) << printable(name) << " | " << printable(part->narrowed);
      }
    }
  }
}

}  // namespace
}  // namespace heimdall
