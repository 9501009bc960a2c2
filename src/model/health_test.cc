#include "model/health.h"

#include <gtest/gtest.h>

namespace heimdall {
namespace {

TEST(Health, has_the_thresholds_of_the_contract) {
  EXPECT_EQ(health_of(0, 0), Health::healthy);
  EXPECT_EQ(health_of(99, 1000), Health::healthy);
  EXPECT_EQ(health_of(100, 1000), Health::warning);
  EXPECT_EQ(health_of(250, 1000), Health::warning);
  EXPECT_EQ(health_of(251, 1000), Health::critical);
}

TEST(Health, takes_other_thresholds) {
  const HealthThresholds strict{0.01, 0.02};
  EXPECT_EQ(health_of(9, 1000, strict), Health::healthy);
  EXPECT_EQ(health_of(10, 1000, strict), Health::warning);
  EXPECT_EQ(health_of(21, 1000, strict), Health::critical);
  EXPECT_EQ(health_of(0, 0, {0, 0}), Health::healthy) << "an empty bucket";
}

TEST(Health, of_nothing_no_share_is_orphaned) {
  EXPECT_EQ(orphaned_percentage(0, 0), 0.0);
  EXPECT_EQ(orphaned_percentage(1, 4), 25.0);
}

TEST(Health, names_are_those_of_the_contract) {
  EXPECT_EQ(to_string(Health::healthy), "healthy");
  EXPECT_EQ(to_string(Health::warning), "warning");
  EXPECT_EQ(to_string(Health::critical), "critical");
}

}  // namespace
}  // namespace heimdall
