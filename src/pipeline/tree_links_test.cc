#include "pipeline/tree_links.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/format.h"
#include "pipeline/test_support.h"
#include "testing/faulty_source.h"

namespace heimdall {
namespace {

using testing::FaultySource;
using testing::SourceFault;
using testing::TestBucket;
using ::testing::HasSubstr;

// A bucket in which "current" leads to "v1/".
class TreeLinks : public ::testing::Test {
 protected:
  TreeLinks() {
    bucket.put_old("v1/x");
    bucket.put_old("there");
    bucket.store.put_link("current", "v1/");
  }
  Result<void> check() { return check_with(bucket.bindings()); }
  Result<void> check_with(std::span<const SourceBinding> sources) {
    TRY_ASSIGN(ReferenceSnapshot references, bucket.snapshot());
    TRY_ASSIGN(const Findings findings, bucket.scan_with(references, bucket.clock.now(), bucket.store));
    return check_links(findings, sources, references, {});
  }

  TestBucket bucket;
};

// Invariant 4.
TEST_F(TreeLinks, a_row_through_a_link_is_refused) {
  struct Case {
    const char* value;
    bool is_refused;
    KeyForm as = KeyForm::automatic;
  };
  for (const Case& one : {Case{"current/x", true}, Case{"current", true}, Case{"/current/deep/x", true}, Case{"s3://raw/current/x", true}, Case{"v1/x", false},
                          Case{"currently/x", false}, Case{"curren", false}, Case{"a/current/x", false}, Case{"gone", false}, Case{"s3://elsewhere/current/x", false},
                          Case{"current", true, KeyForm::prefix}, Case{"current/sub/", true, KeyForm::prefix}, Case{"cur", false, KeyForm::prefix}}) {
    bucket.sources.clear();
    bucket.policy.sources.clear();
    bucket.policy.sources.reserve(2);
    bucket.add_source({"there"});
    bucket.add_source({"there", one.value}, one.as);
    const auto checked = check();
    EXPECT_EQ(checked.has_value(), !one.is_refused) << one.value;
    if (checked) continue;
    EXPECT_EQ(checked.error().code, ErrorCode::failed_precondition);
    for (const char* part : {"'source 1'", one.value, "'current'", "'v1/'"}) EXPECT_THAT(checked.error().message, HasSubstr(part));
    EXPECT_THAT(checked.error().hint, HasSubstr("protect: [\"v1/**\"]"));
  }
}

TEST_F(TreeLinks, what_is_below_a_directory_is_met_as_well) {
  bucket.store.put_link("a/b/self", "");
  bucket.store.put_link("a/b/selfish", "v1/x");
  bucket.add_source({"there", "a/b/c", "a/b", "a/b/self/v1/x"});
  const auto checked = check();
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message, HasSubstr("'a/b/self', which leads to '.'"));
  EXPECT_THAT(checked.error().hint, ::testing::Not(HasSubstr("protect")));
}

// It keeps all below it, and what a link in it leads to may be used by it.
TEST_F(TreeLinks, a_folder_with_a_link_out_of_it_is_refused) {
  bucket.put_old("album/v1/x");
  bucket.store.put_link("album/latest", "album/v1/");
  bucket.add_source({"album"}, KeyForm::prefix);
  EXPECT_TRUE(check()) << "what it leads to is kept by the folder itself";
  bucket.store.put_link("album/cover", "v1/x");
  const auto checked = check();
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message, HasSubstr("'album/cover'"));
}

TEST_F(TreeLinks, sources_whose_rows_all_exist_are_not_read_again) {
  auto& exists = bucket.add_source({"there"});
  auto& dangles = bucket.add_source({"gone"});
  auto& late = bucket.add_source({"gone too"});
  ASSERT_TRUE(check());
  EXPECT_EQ(exists.reads(), 1U);
  EXPECT_EQ(dangles.reads(), 2U);
  EXPECT_EQ(late.reads(), 2U) << "and not only the first one";
}

// Companions are configured, so they are meant; whether they exist is not counted.
TEST_F(TreeLinks, a_row_whose_companion_lies_behind_a_link_is_refused) {
  auto& source = bucket.add_source({"there"});
  bucket.policy.sources[0].mapping.companions = {*CompanionTemplate::parse("beside/{key}")};
  EXPECT_TRUE(check());
  EXPECT_EQ(source.reads(), 2U);
  bucket.policy.sources[0].mapping.companions = {*CompanionTemplate::parse("{key}.json"), *CompanionTemplate::parse("current/{name}")};
  const auto checked = check();
  ASSERT_FALSE(checked);
  for (const char* part : {"the companion 'current/{name}' of 'there'", "'current'", "'v1/'"}) EXPECT_THAT(checked.error().message, HasSubstr(part));
}

TEST_F(TreeLinks, nothing_is_read_again_without_links) {
  bucket.policy.prefixes = {"v"};  // around the link
  auto& source = bucket.add_source({"v/gone"});
  ASSERT_TRUE(check());
  EXPECT_EQ(source.reads(), 1U);
}

// Whether rows go through the link cannot be told any more: as if they did.
TEST_F(TreeLinks, a_source_that_cannot_be_read_again_is_refused_if_a_row_of_it_dangles) {
  auto& source = bucket.add_source({"there"});
  source.data().can_read_again = false;
  EXPECT_TRUE(check());
  bucket.sources.clear();
  bucket.policy.sources.clear();
  bucket.add_source({"there", "gone"}).data().can_read_again = false;
  const auto checked = check();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::failed_precondition);
  for (const char* part : {"'source 0' cannot be read a second time", "'current'", "'v1/'"}) EXPECT_THAT(checked.error().message, HasSubstr(part));
  EXPECT_THAT(checked.error().hint, HasSubstr("write the list to a file"));
}

TEST_F(TreeLinks, an_error_of_the_second_reading_is_one) {
  bucket.add_source({"gone"});
  for (const SourceFault fault : {SourceFault::error, SourceFault::timeout_after_effect, SourceFault::truncated}) {
    FaultySource source(bucket.sources[0], {fault, 1, testing::SourceCall::read});
    const SourceBinding binding{&source, &bucket.policy.sources[0]};
    const auto checked = check_with({&binding, 1});
    ASSERT_FALSE(checked);
    EXPECT_THAT(checked.error().message, HasSubstr("'source 0'"));
  }
}

}  // namespace
}  // namespace heimdall
