#pragma once

#include <functional>
#include <span>
#include <stop_token>
#include <string_view>

#include "base/error.h"
#include "pipeline/references/snapshot.h"
#include "ports/object_store.h"

namespace heimdall {

struct DanglingReference {
  std::string_view source;  // name of the reference source
  std::string_view value;   // as it stands in the row
  std::string_view key;     // what it means, and what does not exist
};

// Reads the sources a second time and calls `visit` for each reference that the complete scan of `snapshot` did not hit, once per key
// and source, each after the store said that the object does not exist.
Result<void> visit_dangling(ObjectReader& store, std::span<const SourceBinding> sources,
                            const ReferenceSnapshot& snapshot,
                            const std::function<Result<void>(const DanglingReference&)>& visit, std::stop_token stop);

}  // namespace heimdall
