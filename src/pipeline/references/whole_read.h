#pragma once

#include <span>
#include <stop_token>
#include <string>

#include "base/error.h"
#include "model/policy.h"
#include "ports/reference_source.h"

namespace heimdall {

// A source and how the bucket reads it; borrowed.
struct SourceBinding {
  ReferenceSource* source = nullptr;
  const SourcePolicy* policy = nullptr;
};

// read() and lookup() of the source, believed only if it handed over as many rows as it says (invariant 2): else corrupt. Errors carry the source's name, also
// those of `sink`.
Result<ReadSummary> read_whole(const SourceBinding& binding, RowSink& sink, std::stop_token stop);
Result<ReadSummary> look_up_whole(const SourceBinding& binding, std::span<const std::string> values, RowSink& sink, std::stop_token stop);

}  // namespace heimdall
