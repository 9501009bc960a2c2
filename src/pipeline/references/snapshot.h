#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <stop_token>

#include "base/error.h"
#include "model/policy.h"
#include "pipeline/references/reference_snapshot.h"
#include "pipeline/references/whole_read.h"
#include "ports/progress.h"

namespace heimdall {

struct SnapshotOptions {
  // For the fingerprints of one source while it is read: half of the memory that there is for us. What is more goes to scratch files beside the snapshot.
  std::uint64_t memory_budget_bytes = default_memory_budget();
  unsigned sort_threads = 2;

  static std::uint64_t default_memory_budget();
};

// ReferenceSource* --snapshot--> ReferenceSnapshot
//
// Reads every source to its end and seals the fingerprints of all keys they name inside `prefixes` into the file `path`, which is
// unlinked again (the mapping keeps it alive). Nothing is sealed unless every source ended cleanly (invariant 2): the first
// error of any source is returned, with the source's name in front. corrupt if what was written does not read back.
Result<ReferenceSnapshot> take_snapshot(std::span<const SourceBinding> sources, std::span<const std::string> prefixes,
                                        const std::filesystem::path& path, std::uint64_t salt, Progress& progress,
                                        std::stop_token stop, const SnapshotOptions& options = {});

}  // namespace heimdall
