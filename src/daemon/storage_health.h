#pragma once

#include <string>
#include <vector>

#include "daemon/board.h"

namespace heimdall {

// The body of /metrics/storage, in the platform's shape: status, timestamp, total_size_gb, total_orphans, orphan_size_gb, orphan_percentage, thresholds,
// buckets{size_gb, orphans, orphan_size_gb, orphan_percentage, status, measured_at}.
std::string storage_health_json(const std::vector<BucketBoard>& buckets, const HealthThresholds& thresholds, Timestamp now);

}  // namespace heimdall
