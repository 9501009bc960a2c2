#pragma once

#include <span>
#include <stop_token>

#include "base/error.h"
#include "pipeline/findings.h"
#include "pipeline/references/snapshot.h"

namespace heimdall {

// Whether no row, or companion of one, names by one of `findings.links` what is listed elsewhere: that would be taken for orphaned (invariant 4). `snapshot` is the
// scan's. Reads again those sources of which a row may, and asks no store.
//
// failed_precondition for the first such row, and where a source that would have to be read again cannot be.
Result<void> check_links(const Findings& findings, std::span<const SourceBinding> sources, const ReferenceSnapshot& snapshot, std::stop_token stop);

}  // namespace heimdall
