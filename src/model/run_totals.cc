#include "model/run_totals.h"

namespace heimdall {

RunTotals totals_of(const RunReport& report) {
  RunTotals totals;
  for (const auto& [bucket, figures] : report.buckets) {
    totals.orphans_found += figures.orphans_found;
    totals.orphans_deleted += figures.orphans_deleted;
    totals.bytes_deleted += figures.bytes_deleted;
    totals.deletion_failures += figures.deletion_failures;
  }
  return totals;
}

}  // namespace heimdall
