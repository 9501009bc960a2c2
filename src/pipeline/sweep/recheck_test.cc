#include "pipeline/sweep/recheck.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/test_world.h"

namespace heimdall::testing {
namespace {

using namespace std::chrono_literals;

// A rechecker that begins with what a plan saw.
class RecheckTest : public ::testing::Test {
 protected:
  // Takes the plan's snapshot of the sources as they are.
  void plan() {
    bound_ = world_.bindings();
    auto snapshot = take_snapshot(bound_, world_.policy.prefixes, world_.directory / "planned", 7, world_.progress, {});
    ASSERT_TRUE(snapshot.has_value());
    planned_.assign(snapshot->sources().begin(), snapshot->sources().end());
  }
  Rechecker rechecker() {
    options_.scratch = world_.directory / "wave";
    return Rechecker(bound_, planned_, world_.policy, world_.clock, options_, world_.progress);
  }
  static std::vector<int> said(const RecheckVerdict& verdict) {
    return {verdict.referenced.begin(), verdict.referenced.end()};
  }

  World world_;
  std::vector<SourceBinding> bound_;
  std::vector<SourceFacts> planned_;
  RecheckOptions options_;
};

// Invariant 1, by wave: what `auto` accepts as a spelling of the key keeps it.
TEST_F(RecheckTest, sees_a_row_that_came_back_in_any_spelling_by_wave) {
  FakeSource& urls = world_.add_source("urls", KeyForm::automatic);
  urls.add("kept/0");
  const std::vector<std::string> spelled = {
      "a/b c.npy", "/a/b c.npy", "s3://raw/a/b c.npy", "S3://raw/a/b%20c.npy", "a/b%20c.npy", "/raw/a/b c.npy",
      "http://minio:9000/raw/a/b%20c.npy?X-Amz-Signature=1", "https://raw.s3.amazonaws.com/a/b%20c.npy", " a/b c.npy ",
      "a/b+c.npy"};
  for (const std::string& value : spelled) {
    plan();
    Rechecker rechecker = this->rechecker();
    ASSERT_TRUE(rechecker.begin({}).has_value());
    world_.clock.advance(2h);  // the first wave is too old to serve
    urls.add(value);
    const std::vector<std::string_view> keys = {"a/b c.npy", "other"};
    const auto verdict = rechecker.check(keys, {});
    ASSERT_TRUE(verdict.has_value()) << value;
    EXPECT_THAT(said(*verdict), ::testing::ElementsAre(1, 0)) << value;
    urls.remove(value);
  }
}

// Invariants 1 and 2: several batches ask, one after another; a wave that was refused must serve none of them.
TEST_F(RecheckTest, what_was_refused_once_is_refused_to_all_who_ask_later) {
  FakeSource& urls = world_.add_source("urls", KeyForm::automatic);
  for (int i = 0; i < 100; ++i) urls.add("kept/" + std::to_string(i));
  plan();
  Rechecker rechecker = this->rechecker();
  ASSERT_TRUE(rechecker.begin({}).has_value());
  world_.clock.advance(2h);
  urls.data().rows.clear();  // another database behind the same name, or a cut one
  const std::vector<std::string_view> keys = {"kept/0"};
  for (int batch = 0; batch < 3; ++batch) {
    const auto verdict = rechecker.check(keys, {});
    ASSERT_TRUE(verdict.has_value());
    EXPECT_TRUE(verdict->refusal.has_value()) << batch;
  }
}

// Invariant 1, by indexed lookup: every spelling of an invertible mapping.
TEST_F(RecheckTest, sees_a_row_that_came_back_in_any_spelling_by_lookup) {
  FakeSource& uris = world_.add_source("uris", KeyForm::uri);
  uris.add("s3://raw/kept/0");
  world_.policy.sources[1].mapping.aliases = {"old-raw"};
  world_.policy.sources[1].mapping.companions = {*CompanionTemplate::parse("{key}.sha256")};
  struct Case {
    std::size_t source;
    std::string value;
  };
  for (const Case& each : {Case{0, "a/x"}, Case{0, "/a/x"}, Case{1, "s3://raw/a/x"}, Case{1, "s3://old-raw/a/x"}, Case{1, "S3://raw/a/x"}}) {
    plan();
    Rechecker rechecker = this->rechecker();
    ASSERT_TRUE(rechecker.begin({}).has_value());
    world_.source(each.source).add(each.value);
    const std::vector<std::string_view> keys = {"a/x", "a/y"};
    const auto verdict = rechecker.check(keys, {});
    ASSERT_TRUE(verdict.has_value());
    EXPECT_FALSE(verdict->refusal.has_value());
    EXPECT_THAT(said(*verdict), ::testing::ElementsAre(1, 0)) << each.value;
    world_.source(each.source).remove(each.value);
  }
  EXPECT_GT(uris.lookups(), 0U);
}

TEST_F(RecheckTest, sees_a_companion_of_a_row_that_came_back) {
  world_.policy.sources[0].mapping.companions = {*CompanionTemplate::parse("{key}.sha256")};
  plan();
  Rechecker rechecker = this->rechecker();
  ASSERT_TRUE(rechecker.begin({}).has_value());
  world_.source().add("/a/x");
  const std::vector<std::string_view> keys = {"a/x.sha256"};
  EXPECT_THAT(said(*rechecker.check(keys, {})), ::testing::ElementsAre(1));
  EXPECT_EQ(world_.source().reads(), 2U) << "the mapping can be inverted: no second wave";
}

TEST_F(RecheckTest, reads_a_mapping_that_cannot_be_inverted_whole_though_it_has_an_index) {
  world_.policy.sources[0].mapping.companions = {*CompanionTemplate::parse("{dir}/{stem}_metadata.json")};
  plan();
  Rechecker rechecker = this->rechecker();
  ASSERT_TRUE(rechecker.begin({}).has_value());
  world_.clock.advance(2h);
  world_.source().add("a/x.npy");
  const std::vector<std::string_view> keys = {"a/x_metadata.json"};
  EXPECT_THAT(said(*rechecker.check(keys, {})), ::testing::ElementsAre(1));
  EXPECT_EQ(world_.source().lookups(), 0U);
}

// Invariant 12: a wave serves the length of its read and 60 s more, from its beginning.
TEST_F(RecheckTest, a_wave_serves_a_while_and_is_then_read_again) {
  world_.recheck_by_wave();
  plan();
  world_.source().data().after_rows = [&] { world_.clock.advance(5s); };
  Rechecker rechecker = this->rechecker();
  const BootTime begun = world_.clock.boot_now();
  ASSERT_TRUE(rechecker.begin({}).has_value());
  const std::vector<std::string_view> keys = {"x"};
  EXPECT_EQ(rechecker.check(keys, {})->valid_until, begun + 65s);
  world_.clock.set_boot(begun + (65s - 1ns));
  ASSERT_TRUE(rechecker.check(keys, {}).has_value());
  EXPECT_EQ(world_.source().reads(), 2U);
  world_.clock.set_boot(begun + 65s);
  EXPECT_EQ(rechecker.check(keys, {})->valid_until, begun + 65s + 65s);
  EXPECT_EQ(world_.source().reads(), 3U);
}

// Invariant 12: measured from before the lookup's snapshot.
TEST_F(RecheckTest, a_lookup_serves_for_its_window_from_before_its_snapshot) {
  plan();
  Rechecker rechecker = this->rechecker();
  ASSERT_TRUE(rechecker.begin({}).has_value());
  const BootTime begun = world_.clock.boot_now();
  world_.source().data().after_rows = [&] { world_.clock.advance(3s); };
  const std::vector<std::string_view> keys = {"x"};
  EXPECT_EQ(rechecker.check(keys, {})->valid_until, begun + 10s);
}

TEST_F(RecheckTest, the_oldest_of_several_lookups_bounds_the_verdict) {
  world_.add_source("more").add("kept/1");
  plan();
  Rechecker rechecker = this->rechecker();
  ASSERT_TRUE(rechecker.begin({}).has_value());
  const BootTime begun = world_.clock.boot_now();
  for (auto& source : world_.sources) source->data().after_rows = [&] { world_.clock.advance(4s); };
  const std::vector<std::string_view> keys = {"x"};
  EXPECT_EQ(rechecker.check(keys, {})->valid_until, begun + 10s);
}

// Invariant 2: an empty answer is believed only with a positive control.
TEST_F(RecheckTest, a_lookup_without_its_controls_is_blind) {
  plan();
  Rechecker rechecker = this->rechecker();
  ASSERT_TRUE(rechecker.begin({}).has_value());
  world_.source().data().rows = {{"something/else"}};
  const std::vector<std::string_view> keys = {"x"};
  const auto verdict = rechecker.check(keys, {});
  ASSERT_TRUE(verdict.has_value());
  ASSERT_TRUE(verdict->refusal.has_value());
  EXPECT_EQ(verdict->refusal->guard, Guard::recheck_blind);
}

TEST_F(RecheckTest, a_wave_without_its_controls_is_blind) {
  world_.recheck_by_wave();
  plan();
  world_.source().data().rows = {{"a"}, {"b"}, {"c"}, {"d"}};
  Rechecker rechecker = this->rechecker();
  const auto refusal = rechecker.begin({});
  ASSERT_TRUE(refusal.has_value());
  ASSERT_TRUE(refusal->has_value());
  EXPECT_EQ((*refusal)->guard, Guard::recheck_blind);
}

TEST_F(RecheckTest, blindness_and_another_identity_are_never_accepted) {
  world_.recheck_by_wave();
  plan();
  options_.accepted = {Guard::recheck_blind, Guard::identity_changed};
  world_.source().data().rows = {{"a"}, {"b"}, {"c"}, {"d"}};
  Rechecker blind = this->rechecker();
  EXPECT_EQ(blind.begin({}).value().value().guard, Guard::recheck_blind);
  world_.source().data().identity.database = "fake:another";
  Rechecker changed = this->rechecker();
  EXPECT_EQ(changed.begin({}).value().value().guard, Guard::identity_changed);
}

TEST_F(RecheckTest, one_control_of_many_is_enough) {
  plan();
  Rechecker rechecker = this->rechecker();
  ASSERT_TRUE(rechecker.begin({}).has_value());
  world_.source().data().rows = {{"kept/3"}};
  const std::vector<std::string_view> keys = {"x"};
  EXPECT_FALSE(rechecker.check(keys, {})->refusal.has_value());
}

// A bucket entry for a folder of a shared bucket: most rows name keys elsewhere in it, and those are controls, too.
TEST_F(RecheckTest, is_not_blind_where_most_rows_lie_outside_the_prefixes) {
  world_.recheck_by_wave();
  world_.policy.prefixes = {"kept/"};
  std::vector<FakeRow> rows;
  for (int i = 0; i < 500; ++i) rows.push_back({"elsewhere/" + std::to_string(i)});
  rows.push_back({"kept/0"});
  world_.source().data().rows = rows;
  plan();
  Rechecker rechecker = this->rechecker();
  const auto refusal = rechecker.begin({});
  ASSERT_TRUE(refusal.has_value());
  EXPECT_FALSE(refusal->has_value()) << (*refusal)->message;
}

TEST_F(RecheckTest, is_not_blind_where_all_rows_lie_outside_the_prefixes) {
  world_.recheck_by_wave();
  world_.policy.prefixes = {"nothing-here/"};
  world_.policy.sources[0].may_be_empty = true;
  plan();
  Rechecker rechecker = this->rechecker();
  EXPECT_FALSE(rechecker.begin({}).value().has_value());
  world_.source().data().rows.clear();
  Rechecker blind = this->rechecker();
  EXPECT_EQ(blind.begin({}).value().value().guard, Guard::recheck_blind);
}

TEST_F(RecheckTest, is_not_blind_about_folders) {
  world_.policy.sources[0].mapping.as = KeyForm::prefix;
  world_.source().data().rows = {{"kept/"}, {"s3://raw/more"}};
  plan();
  Rechecker rechecker = this->rechecker();
  ASSERT_FALSE(rechecker.begin({}).value().has_value());
  const std::vector<std::string_view> keys = {"more/x", "moreover"};
  EXPECT_THAT(said(*rechecker.check(keys, {})), ::testing::ElementsAre(1, 0));
}

TEST_F(RecheckTest, refuses_a_source_that_yields_nothing_any_more) {
  plan();
  world_.source().data().rows.clear();
  Rechecker rechecker = this->rechecker();
  EXPECT_EQ(rechecker.begin({}).value().value().guard, Guard::no_references);
}

TEST_F(RecheckTest, refuses_references_that_fell_since_the_plan) {
  for (int i = 0; i < 100; ++i) world_.source().add("more/" + std::to_string(i));
  plan();
  world_.source().data().rows.resize(50);
  Rechecker rechecker = this->rechecker();
  EXPECT_EQ(rechecker.begin({}).value().value().guard, Guard::references_fell);
  options_.accepted = {Guard::references_fell};
  Rechecker accepting = this->rechecker();
  EXPECT_FALSE(accepting.begin({}).value().has_value());
}

TEST_F(RecheckTest, refuses_references_that_fell_between_two_waves) {
  world_.recheck_by_wave();
  for (int i = 0; i < 100; ++i) world_.source().add("more/" + std::to_string(i));
  plan();
  Rechecker rechecker = this->rechecker();
  ASSERT_FALSE(rechecker.begin({}).value().has_value());
  world_.source().data().rows.resize(50);
  world_.clock.advance(2h);
  const std::vector<std::string_view> keys = {"x"};
  EXPECT_EQ(rechecker.check(keys, {}).value().refusal.value().guard, Guard::references_fell);
}

TEST_F(RecheckTest, refuses_an_older_state_of_the_database) {
  world_.source().data().identity.position = 100;
  plan();
  world_.source().data().identity.position = 99;
  Rechecker rechecker = this->rechecker();
  EXPECT_EQ(rechecker.begin({}).value().value().guard, Guard::identity_changed);
}

// A connection that went over to a restored or lagging server in mid-sweep.
TEST_F(RecheckTest, refuses_a_lookup_answered_by_other_data) {
  world_.source().data().identity.position = 100;
  plan();
  Rechecker rechecker = this->rechecker();
  ASSERT_FALSE(rechecker.begin({}).value().has_value());
  const std::vector<std::string_view> keys = {"x"};
  const SourceIdentity good = world_.source().data().identity;
  world_.source().data().identity.position = 101;
  EXPECT_FALSE(rechecker.check(keys, {})->refusal.has_value());
  world_.source().data().identity.position = 99;
  EXPECT_TRUE(rechecker.check(keys, {})->refusal.has_value());
  world_.source().data().identity = {"fake:another", good.relations, 101};
  EXPECT_TRUE(rechecker.check(keys, {})->refusal.has_value());
  world_.source().data().identity = {good.database, "another_table", 101};
  EXPECT_TRUE(rechecker.check(keys, {})->refusal.has_value());
}

// Section 4: the recheck counts only once every writer of the plan's time has ended.
TEST_F(RecheckTest, waits_for_writers_of_the_plans_time_and_names_them) {
  world_.source().data().writers.text = "pid 4711";
  plan();
  Rechecker rechecker = this->rechecker();
  const auto refused = rechecker.begin({});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("pid 4711"));
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("rows"));
  EXPECT_EQ(world_.source().reads(), 1U) << "what is read before the writers ended does not count";

  world_.source().data().before_wait = [&] { world_.source().data().writers.text.clear(); };
  Rechecker patient = this->rechecker();
  EXPECT_TRUE(patient.begin({}).has_value());
}

TEST_F(RecheckTest, refuses_a_source_that_cannot_be_read_again) {
  plan();
  world_.source().data().can_read_again = false;
  Rechecker rechecker = this->rechecker();
  const auto refused = rechecker.begin({});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(refused.error().hint.empty());
}

TEST_F(RecheckTest, refuses_a_list_that_went_stale) {
  world_.source().data().as_of = world_.clock.now();
  plan();
  world_.clock.advance(25h);
  Rechecker rechecker = this->rechecker();
  EXPECT_EQ(rechecker.begin({}).value().value().guard, Guard::stale_list);
}

}  // namespace
}  // namespace heimdall::testing
