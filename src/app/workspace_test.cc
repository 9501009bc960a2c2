#include "app/workspace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/test_place.h"
#include "base/clock.h"

namespace heimdall {
namespace {

using ::testing::HasSubstr;
using testing::Place;

class WorkspaceTest : public ::testing::Test {
 protected:
  std::unique_ptr<Workspace> open(Config config, std::vector<std::string> buckets = {}) {
    auto workspace = Workspace::open(std::move(config), buckets, clock_);
    EXPECT_TRUE(workspace.has_value()) << (workspace ? "" : workspace.error().message);
    return workspace ? std::move(*workspace) : nullptr;
  }

  Place place_;
  SystemClock clock_;
};

TEST_F(WorkspaceTest, says_that_it_created_the_state_directory_and_only_then) {
  const Config config = place_.config(Place::plain_references());
  EXPECT_THAT(open(config)->warnings(), ::testing::ElementsAre(HasSubstr("was created")));
  EXPECT_THAT(open(config)->warnings(), ::testing::IsEmpty());
}

TEST_F(WorkspaceTest, an_unknown_bucket_is_refused_with_the_nearest_name) {
  const std::vector<std::string> names = {"fotos"};
  const auto workspace = Workspace::open(place_.config(Place::plain_references()), names, clock_);
  ASSERT_FALSE(workspace.has_value());
  EXPECT_EQ(workspace.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(workspace.error().hint, HasSubstr("photos"));
}

TEST_F(WorkspaceTest, only_the_buckets_named_are_opened) {
  const Config config = place_.config("    prefixes: [\"a/\"]\n" + Place::plain_references(),
                                      "  - name: other\n    store: media\n    prefixes: [\"b/\"]\n" + Place::plain_references());
  EXPECT_EQ(open(config)->buckets().size(), 2U);
  EXPECT_EQ(open(config, {"other"})->buckets().size(), 1U);
}

TEST_F(WorkspaceTest, a_bucket_is_found_by_its_alias_too) {
  const auto workspace = open(place_.config("    aliases: [old-photos]\n" + Place::plain_references()));
  EXPECT_NE(workspace->find("photos"), nullptr);
  EXPECT_EQ(workspace->find("old-photos"), workspace->find("photos"));
  EXPECT_EQ(workspace->find("none"), nullptr);
}

// Invariant 9: one sweep per bucket at a time, also from another state directory.
TEST_F(WorkspaceTest, nobody_else_can_hold_a_bucket_that_is_held) {
  Config config = place_.config(Place::plain_references());
  const auto one = open(config);
  config.state = place_.root() / "other-state";
  const auto other = open(config);
  auto held = one->hold(one->buckets().front());
  ASSERT_TRUE(held.has_value());
  EXPECT_EQ(one->hold(one->buckets().front()).error().code, ErrorCode::locked);
  EXPECT_EQ(other->hold(other->buckets().front()).error().code, ErrorCode::locked);
  { const HeldBucket released = std::move(*held); }
  EXPECT_TRUE(other->hold(other->buckets().front()).has_value());
}

TEST_F(WorkspaceTest, two_entries_of_one_tree_are_held_together) {
  const auto workspace = open(place_.config("    prefixes: [\"a/\"]\n" + Place::plain_references(),
                                            "  - name: other\n    store: media\n    prefixes: [\"b/\"]\n" + Place::plain_references()));
  auto first = workspace->hold(workspace->buckets()[0]);
  auto second = workspace->hold(workspace->buckets()[1]);
  EXPECT_TRUE(first.has_value());
  EXPECT_TRUE(second.has_value()) << second.error().message;
}

// Invariant 8: what the configuration cannot see shows in the stores' identities.
TEST_F(WorkspaceTest, two_stores_that_are_one_tree_may_not_overlap) {
  Config config = place_.config("    prefixes: [\"a/\"]\n" + Place::plain_references(),
                                "  - name: other\n    store: media\n    prefixes: [\"b/\"]\n" + Place::plain_references());
  auto apart = open(config);
  EXPECT_TRUE(apart->scan_targets().has_value());
  config.buckets[1].policy.prefixes = {"a/deep/"};
  auto nested = open(config);
  EXPECT_EQ(nested->scan_targets().error().code, ErrorCode::invalid_argument);
}

TEST_F(WorkspaceTest, a_missing_root_is_named_with_its_store) {
  std::filesystem::remove_all(place_.root() / "media");
  const auto workspace = open(place_.config(Place::plain_references()));
  const auto targets = workspace->scan_targets();
  ASSERT_FALSE(targets.has_value());
  EXPECT_EQ(targets.error().code, ErrorCode::not_found);
  EXPECT_THAT(targets.error().message, HasSubstr("store 'media'"));
}

}  // namespace
}  // namespace heimdall
