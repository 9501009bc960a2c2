#include "app/recover_doubts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/test_place.h"
#include "base/ids.h"
#include "ports/progress.h"

namespace heimdall {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::Place;

// Invariant 6. Two buckets in trees of their own; in each one object whose delete was sent, without an answer.
class RecoverDoubtsTest : public ::testing::Test {
 protected:
  RecoverDoubtsTest() {
    for (const std::string name : {"photos", "films"}) {
      std::filesystem::create_directories(place_.root() / "media" / name);
      place_.put(name + "/doubt");
    }
    auto workspace = open({});
    for (BucketWorkspace& bucket : workspace->buckets()) {
      const auto reader = bucket.reader();
      const auto object = (*reader)->head(ObjectKey("doubt"));
      EXPECT_TRUE(workspace->state().intend("20260101T000000Z-killed", bucket.policy().name, *(*reader)->identity(), std::span(&*object, 1)).has_value());
      std::filesystem::remove(place_.root() / "media" / bucket.policy().name / "doubt");
    }
  }

  Config config() {
    const std::string text =
        "stores:\n  photos: {type: directory, path: ./media/photos}\n  films: {type: directory, path: ./media/films}\n"
        "databases:\n  local: {type: sqlite, path: ./app.db}\n"
        "buckets:\n  - name: photos\n    store: photos\n" + Place::plain_references() + "  - name: films\n    store: films\n" + Place::plain_references();
    auto parsed = parse_config(text, place_.root() / "heimdall.yaml", [](const std::string&) { return std::nullopt; });
    EXPECT_TRUE(parsed.has_value()) << (parsed ? "" : parsed.error().message);
    return std::move(*parsed);
  }
  std::unique_ptr<Workspace> open(const std::vector<std::string>& buckets) { return open(buckets, config()); }
  std::unique_ptr<Workspace> open(const std::vector<std::string>& buckets, Config config) {
    auto workspace = Workspace::open(std::move(config), buckets, clock_);
    EXPECT_TRUE(workspace.has_value()) << (workspace ? "" : workspace.error().message);
    return std::move(*workspace);
  }
  DoubtReport recover(Workspace& workspace, std::stop_token stop = {}) {
    RunContext run{new_run_id(clock_), "recover", workspace.state(), clock_, progress_, std::move(stop), {}};
    auto report = recover_doubts(workspace, run);
    EXPECT_TRUE(report.has_value()) << (report ? "" : report.error().message);
    return report ? std::move(*report) : DoubtReport{};
  }

  Place place_;
  SystemClock clock_;
  NoProgress progress_;
};

TEST_F(RecoverDoubtsTest, looks_up_what_is_in_doubt_in_all_buckets) {
  const auto workspace = open({});
  const DoubtReport report = recover(*workspace);
  EXPECT_THAT(report.settled, SizeIs(2));
  EXPECT_FALSE(report.error().has_value());
  const DoubtReport again = recover(*workspace);
  EXPECT_THAT(again.settled, IsEmpty());
  EXPECT_FALSE(again.error().has_value());
}

TEST_F(RecoverDoubtsTest, a_store_that_is_away_keeps_no_other_bucket_in_doubt) {
  std::filesystem::rename(place_.root() / "media/photos", place_.root() / "elsewhere");
  const auto workspace = open({});
  const DoubtReport report = recover(*workspace);
  ASSERT_THAT(report.settled, SizeIs(1));
  EXPECT_EQ(report.settled.front().bucket, "films");
  ASSERT_TRUE(report.error().has_value());
  EXPECT_EQ(report.error()->code, ErrorCode::in_doubt);
  EXPECT_THAT(report.error()->message, HasSubstr("1 object in bucket 'photos' is still in doubt: "));
}

TEST_F(RecoverDoubtsTest, one_reason_that_keeps_all_in_doubt_is_the_error) {
  std::filesystem::rename(place_.root() / "media", place_.root() / "elsewhere");
  const auto workspace = open({});
  const DoubtReport report = recover(*workspace);
  EXPECT_THAT(report.settled, IsEmpty());
  ASSERT_TRUE(report.error().has_value());
  EXPECT_EQ(report.error()->code, ErrorCode::not_found);
}

TEST_F(RecoverDoubtsTest, tells_of_buckets_that_were_not_chosen) {
  const auto workspace = open({"films"});
  const DoubtReport report = recover(*workspace);
  EXPECT_THAT(report.settled, SizeIs(1));
  ASSERT_TRUE(report.error().has_value());
  EXPECT_EQ(report.error()->code, ErrorCode::in_doubt);
  EXPECT_THAT(report.error()->message, AllOf(HasSubstr("1 object in bucket 'photos'"), HasSubstr("not chosen")));
}

TEST_F(RecoverDoubtsTest, tells_of_buckets_that_are_configured_no_more) {
  Config fewer = config();
  fewer.buckets.erase(fewer.buckets.begin());
  const auto workspace = open({}, std::move(fewer));
  const DoubtReport report = recover(*workspace);
  EXPECT_THAT(report.settled, SizeIs(1));
  ASSERT_TRUE(report.error().has_value());
  EXPECT_THAT(report.error()->message, AllOf(HasSubstr("bucket 'photos'"), HasSubstr("configured any more")));
  EXPECT_THAT(report.error()->hint, HasSubstr("mode: report"));
}

TEST_F(RecoverDoubtsTest, tells_of_a_bucket_that_became_another_one) {
  std::filesystem::rename(place_.root() / "media/photos", place_.root() / "elsewhere");
  std::filesystem::create_directory(place_.root() / "media/photos");
  const auto workspace = open({});
  const DoubtReport report = recover(*workspace);
  EXPECT_THAT(report.settled, SizeIs(1));
  ASSERT_TRUE(report.error().has_value());
  EXPECT_THAT(report.error()->message, AllOf(HasSubstr("bucket 'photos'"), HasSubstr("another bucket")));
}

// Invariant 9.
TEST_F(RecoverDoubtsTest, what_somebody_else_has_in_hand_is_theirs) {
  const auto other = open({});
  auto held = other->hold(*other->find("photos"));
  ASSERT_TRUE(held.has_value());
  const auto workspace = open({});
  const DoubtReport report = recover(*workspace);
  EXPECT_THAT(report.settled, SizeIs(1));
  ASSERT_TRUE(report.error().has_value());
  EXPECT_EQ(report.error()->code, ErrorCode::locked);
}

TEST_F(RecoverDoubtsTest, a_recovery_that_is_stopped_says_so) {
  std::stop_source stop;
  stop.request_stop();
  const auto workspace = open({});
  EXPECT_EQ(recover(*workspace, stop.get_token()).error()->code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace heimdall
