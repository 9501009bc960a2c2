#include "app/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "app/test_place.h"

namespace heimdall {
namespace {

using ::testing::HasSubstr;
using testing::Place;

class DoctorTest : public ::testing::Test {
 protected:
  DoctorTest() {
    for (int i = 0; i < 10; ++i) {
      place_.put("a/" + std::to_string(i) + ".jpg");
      place_.execute("INSERT INTO photos VALUES('a/" + std::to_string(i) + ".jpg')");
    }
  }

  void examine(const std::string& bucket, Probe probe = Probe::no) {
    checks_.clear();
    doctor(place_.config(bucket), {{}, probe}, clock_, progress_, [&](const Check& check) { checks_.push_back(check); }, {});
  }
  std::vector<Check> with(Check::Status status) const {
    std::vector<Check> found;
    std::copy_if(checks_.begin(), checks_.end(), std::back_inserter(found), [&](const Check& c) { return c.status == status; });
    return found;
  }
  const Check* named(std::string_view name) const {
    const auto at = std::find_if(checks_.begin(), checks_.end(), [&](const Check& c) { return c.name == name; });
    return at == checks_.end() ? nullptr : &*at;
  }
  void expect_failure(std::string_view name, const std::string& message) {
    const Check* check = named(name);
    ASSERT_NE(check, nullptr) << name;
    EXPECT_EQ(check->status, Check::Status::failed);
    EXPECT_THAT(check->message, HasSubstr(message));
    EXPECT_FALSE(check->fix.empty());
  }

  Place place_;
  SystemClock clock_;
  NoProgress progress_;
  std::vector<Check> checks_;
};

TEST_F(DoctorTest, finds_nothing_wrong_with_a_sound_set_up) {
  examine(Place::plain_references());
  EXPECT_THAT(with(Check::Status::failed), ::testing::IsEmpty());
  ASSERT_NE(named("mapping.photos"), nullptr);
  EXPECT_THAT(named("mapping.photos")->message, HasSubstr("100.0 % of 10 references hit an object"));
}

TEST_F(DoctorTest, tells_what_has_another_shape_and_what_dangles) {
  place_.execute("INSERT INTO photos VALUES('/a/gone.jpg')");
  examine(Place::plain_references());
  EXPECT_THAT(named("mapping.photos")->message, HasSubstr("90.9 % of 11 references"));
  EXPECT_THAT(named("mapping.photos")->message, HasSubstr("e.g. '/a/gone.jpg'"));
}

TEST_F(DoctorTest, a_failure_does_not_hide_the_next_one) {
  std::filesystem::remove_all(place_.root() / "media");
  std::filesystem::remove(place_.root() / "app.db");
  examine(Place::plain_references());
  expect_failure("store.media", "media");
  expect_failure("references.photos.1", "app.db");
  EXPECT_FALSE(std::filesystem::exists(place_.root() / "app.db")) << "a missing database is never created";
}

TEST_F(DoctorTest, finds_a_column_that_is_not_there) {
  examine("    references: [{database: local, table: photos, column: file}]\n");
  expect_failure("references.photos.1", "file");
}

TEST_F(DoctorTest, finds_an_empty_table) {
  place_.execute("DELETE FROM photos");
  examine(Place::plain_references());
  expect_failure("guard.photos.no_references", "no key of this bucket");
}

TEST_F(DoctorTest, finds_a_query_with_limit) {
  examine("    references: [{database: local, query: \"SELECT path FROM photos LIMIT 5\"}]\n");
  expect_failure("guard.photos.partial_query", "LIMIT");
}

TEST_F(DoctorTest, finds_a_mapping_that_matches_nothing) {
  examine("    references: [{database: local, query: \"SELECT 'other/' || path FROM photos\"}]\n");
  expect_failure("guard.photos.match_rate", "0 of 10 references");
}

TEST_F(DoctorTest, a_probe_leaves_nothing_behind) {
  examine("    mode: delete\n" + Place::plain_references(), Probe::yes);
  EXPECT_THAT(with(Check::Status::failed), ::testing::IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(place_.root() / "media/.heimdall-storage"));
}

}  // namespace
}  // namespace heimdall
