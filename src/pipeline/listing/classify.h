#pragma once

#include <vector>

#include "base/error.h"
#include "model/policy.h"
#include "pipeline/findings.h"
#include "pipeline/listing/scan.h"

namespace heimdall {

// The second half of scan(): once the whole listing is known, so are the dangling references, and every unreferenced object (the
// `spools`, in key order) becomes protected (it is nearly a dangling reference), young, in grace or due. Fills `findings.orphans`, the
// ledgers and the figures. A damaged ledger is set aside, and grace starts again.
Result<void> classify(std::vector<ScratchFile> spools, const ReferenceSnapshot& snapshot, const BucketPolicy& policy,
                      const ScanOptions& options, Findings& findings, Progress& progress);

}  // namespace heimdall
