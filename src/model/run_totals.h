#pragma once

#include <cstdint>

#include "model/run_report.h"

namespace heimdall {

// What a run found and did, over all its buckets.
struct RunTotals {
  std::uint64_t orphans_found = 0;
  std::uint64_t orphans_deleted = 0;
  std::uint64_t bytes_deleted = 0;
  std::uint64_t deletion_failures = 0;
};

RunTotals totals_of(const RunReport& report);

}  // namespace heimdall
