#pragma once

#include <string>
#include <vector>

#include "daemon/board.h"
#include "model/health.h"

namespace heimdall {

// The body of /metrics/storage, in the platform's shape: status, timestamp, total_size_gb, total_orphans, orphan_size_gb, orphan_percentage, thresholds
// (in percent), buckets{size_gb, orphans, orphan_size_gb, orphan_percentage, status, measured_at}. GB is 1024^3 bytes; shares are of bytes. A bucket that was
// never measured has 0 everywhere and null in `measured_at`. One line.
std::string storage_health_json(const std::vector<BucketBoard>& buckets, const HealthThresholds& thresholds, Timestamp now);

}  // namespace heimdall
