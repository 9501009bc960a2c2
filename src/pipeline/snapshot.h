#pragma once

#include <filesystem>
#include <span>
#include <stop_token>

#include "base/error.h"
#include "model/policy.h"
#include "pipeline/reference_snapshot.h"
#include "ports/progress.h"
#include "ports/reference_source.h"

namespace heimdall {

// A source and how the bucket reads it; borrowed.
struct SourceBinding {
  ReferenceSource* source = nullptr;
  const SourcePolicy* policy = nullptr;
};

// ReferenceSource* --snapshot--> ReferenceSnapshot
//
// Reads every source to its end and seals the fingerprints of all keys they name inside `prefixes` into the file `path`, which is
// unlinked again (the mapping keeps it alive). Nothing is sealed unless every source ended cleanly (invariant 2): the first
// error of any source is returned, with the source's name in front.
Result<ReferenceSnapshot> take_snapshot(std::span<const SourceBinding> sources, std::span<const std::string> prefixes,
                                        const std::filesystem::path& path, std::uint64_t salt, Progress& progress,
                                        std::stop_token stop);

}  // namespace heimdall
