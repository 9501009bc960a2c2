#include "app/capacities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/test_place.h"
#include "base/clock.h"

namespace heimdall {
namespace {

using testing::Place;

class CapacitiesTest : public ::testing::Test {
 protected:
  Place place_;
  SystemClock clock_;
};

TEST_F(CapacitiesTest, a_directory_tells_that_of_its_disk) {
  const auto capacities = read_capacities(place_.config(Place::plain_references()), clock_);
  ASSERT_EQ(capacities.size(), 1U);
  EXPECT_EQ(capacities[0].first, "media");
  ASSERT_TRUE(capacities[0].second.has_value()) << capacities[0].second.error().message;
  const auto& capacity = *capacities[0].second;
  ASSERT_TRUE(capacity.has_value());
  EXPECT_GT(capacity->total_bytes, 0U);
  EXPECT_LE(capacity->used_bytes + capacity->free_bytes, capacity->total_bytes);
}

TEST_F(CapacitiesTest, a_store_that_is_away_is_an_error_of_its_own) {
  Config config = place_.config("    prefixes: [\"a/\"]\n" + Place::plain_references(),
                                "  - name: other\n    store: media\n    prefixes: [\"b/\"]\n" + Place::plain_references());
  StoreConfig away = config.stores.front();
  away.name = "away";
  away.directory.path = place_.root() / "nowhere";
  StoreConfig idle = away;
  idle.name = "idle";
  config.stores.push_back(away);
  config.stores.push_back(idle);
  config.buckets.back().store = "away";
  const auto capacities = read_capacities(config, clock_);
  ASSERT_EQ(capacities.size(), 2U) << "a store without buckets is not asked";
  EXPECT_TRUE(capacities[0].second.has_value());
  EXPECT_EQ(capacities[1].first, "away");
  EXPECT_EQ(capacities[1].second.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace heimdall
