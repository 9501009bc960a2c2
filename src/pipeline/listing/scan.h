#pragma once

#include <filesystem>
#include <stop_token>
#include <string>

#include "base/error.h"
#include "model/policy.h"
#include "pipeline/listing/early_listing.h"
#include "pipeline/findings.h"
#include "pipeline/references/reference_snapshot.h"
#include "ports/object_store.h"
#include "ports/progress.h"

namespace heimdall {

struct ScanOptions {
  unsigned workers = 0;                // ranges listed side by side; 0: as many as the store takes well
  std::filesystem::path scratch;       // a path whose extensions of it are free to use
  std::filesystem::path ledger;        // the bucket's ledger; may not exist yet
  Timestamp started{};                 // server time fixed before the snapshot was taken (invariant 3)
  std::uint64_t expected_objects = 0;  // by and large, from the last run or from the references; decides how finely the listing is cut
};

// ObjectStore --scan--> Findings
//
// `early`, of the first prefix and the same store, is judged first.
//
// Lists the bucket's prefixes and probes every key. The prefixes are cut into ranges, which workers list side by side; one without work takes
// over the rest of the largest range. The ranges of all workers tile the prefixes, which is checked. A range whose listing fails is recorded in `failures` and nothing of it is
// reported but for the links it met; if no range could be listed, the first error is returned (invariant 2). The snapshot's marks are complete only if the findings are.
Result<Findings> scan(ObjectReader& store, ReferenceSnapshot& snapshot, const BucketPolicy& policy, const ScanOptions& options,
                      Progress& progress, std::stop_token stop, std::optional<EarlyPages> early = std::nullopt);

}  // namespace heimdall
