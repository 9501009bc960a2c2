#include "daemon/storage_health.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace heimdall {
namespace {

using namespace std::chrono_literals;

const Timestamp kNow{1795392856s};
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

BucketBoard bucket_of(std::string name, std::uint64_t total_bytes, std::uint64_t orphan_bytes, std::uint64_t orphans) {
  BucketBoard bucket;
  bucket.name = std::move(name);
  bucket.figures.total_bytes = total_bytes;
  bucket.figures.orphan_bytes = orphan_bytes;
  bucket.figures.orphans_found = orphans;
  bucket.measured_at = kNow - 1h;
  return bucket;
}

TEST(StorageHealthTest, has_the_shape_of_the_platform) {
  const std::string text = storage_health_json({bucket_of("raw", 400 * kGiB, 200 * kGiB, 7), bucket_of("audio", 66 * kGiB, 0, 0)}, {}, kNow);
  EXPECT_EQ(nlohmann::json::parse(text), nlohmann::json::parse(R"({
    "status": "critical", "timestamp": "2026-11-23T00:14:16Z", "total_size_gb": 466.0, "total_orphans": 7, "orphan_size_gb": 200.0,
    "orphan_percentage": 42.9185, "thresholds": {"warning": 10.0, "critical": 25.0},
    "buckets": {
      "raw": {"size_gb": 400.0, "orphans": 7, "orphan_size_gb": 200.0, "orphan_percentage": 50.0, "status": "critical",
              "measured_at": "2026-11-22T23:14:16Z"},
      "audio": {"size_gb": 66.0, "orphans": 0, "orphan_size_gb": 0.0, "orphan_percentage": 0.0, "status": "healthy",
                "measured_at": "2026-11-22T23:14:16Z"}}})"));
  EXPECT_TRUE(text.starts_with(R"({"status":"critical","timestamp":"2026-11-23T00:14:16Z","total_size_gb":466.0,)"));
}

TEST(StorageHealthTest, a_tenth_is_a_warning_and_more_than_a_quarter_is_critical) {
  const auto status = [](std::uint64_t orphan_bytes, HealthThresholds thresholds = {}) {
    return nlohmann::json::parse(storage_health_json({bucket_of("raw", 1000, orphan_bytes, 1)}, thresholds, kNow))["status"];
  };
  EXPECT_EQ(status(99), "healthy");
  EXPECT_EQ(status(100), "warning");
  EXPECT_EQ(status(250), "warning");
  EXPECT_EQ(status(251), "critical");
  EXPECT_EQ(status(251, {0.5, 0.75}), "healthy");
}

TEST(StorageHealthTest, says_the_thresholds_in_percent) {
  const auto body = nlohmann::json::parse(storage_health_json({}, {0.07, 0.29}, kNow));
  EXPECT_EQ(body["thresholds"]["warning"], 7.0);
  EXPECT_EQ(body["thresholds"]["critical"], 29.0);
}

TEST(StorageHealthTest, a_bucket_that_was_never_measured_is_there_with_zeros) {
  BucketBoard bucket;
  bucket.name = "new";
  const auto body = nlohmann::json::parse(storage_health_json({bucket}, {}, kNow));
  EXPECT_EQ(body["status"], "healthy");
  EXPECT_EQ(body["buckets"]["new"]["size_gb"], 0.0);
  EXPECT_EQ(body["buckets"]["new"]["orphan_percentage"], 0.0);
  EXPECT_TRUE(body["buckets"]["new"]["measured_at"].is_null());
}

TEST(StorageHealthTest, without_buckets_it_still_is_an_object) {
  EXPECT_TRUE(nlohmann::json::parse(storage_health_json({}, {}, kNow))["buckets"].is_object());
}

}  // namespace
}  // namespace heimdall
