#include "daemon/storage_health.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace heimdall {

namespace {

using Json = nlohmann::ordered_json;

double gigabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0); }

// Four digits behind the point: enough to see a single file in a million.
double rounded(double percentage) { return std::round(percentage * 1e4) / 1e4; }

// A std::map inside: of a thousand buckets an ordered object would look through all for each.
nlohmann::json bucket_json(const BucketBoard& bucket, const HealthThresholds& thresholds) {
  const BucketFigures& figures = bucket.figures;
  return {{"size_gb", gigabytes(figures.total_bytes)},
          {"orphans", figures.orphans_found},
          {"orphan_size_gb", gigabytes(figures.orphan_bytes)},
          {"orphan_percentage", rounded(orphaned_percentage(figures.orphan_bytes, figures.total_bytes))},
          {"status", to_string(health_of(figures.orphan_bytes, figures.total_bytes, thresholds))},
          {"measured_at", bucket.measured_at ? nlohmann::json(rfc3339(*bucket.measured_at)) : nlohmann::json()}};
}

}  // namespace

std::string storage_health_json(const std::vector<BucketBoard>& buckets, const HealthThresholds& thresholds, Timestamp now) {
  std::uint64_t total_bytes = 0, orphans = 0, orphan_bytes = 0;
  nlohmann::json each = nlohmann::json::object();
  for (const BucketBoard& bucket : buckets) {
    total_bytes += bucket.figures.total_bytes;
    orphans += bucket.figures.orphans_found;
    orphan_bytes += bucket.figures.orphan_bytes;
    each[bucket.name] = bucket_json(bucket, thresholds);
  }
  const Json body = {{"status", to_string(health_of(orphan_bytes, total_bytes, thresholds))},
                     {"timestamp", rfc3339(now)},
                     {"total_size_gb", gigabytes(total_bytes)},
                     {"total_orphans", orphans},
                     {"orphan_size_gb", gigabytes(orphan_bytes)},
                     {"orphan_percentage", rounded(orphaned_percentage(orphan_bytes, total_bytes))},
                     {"thresholds", {{"warning", rounded(100 * thresholds.warning)}, {"critical", rounded(100 * thresholds.critical)}}},
                     {"buckets", std::move(each)}};
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace heimdall
