#pragma once

#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string_view>

#include "base/error.h"
#include "pipeline/references/snapshot.h"
#include "ports/object_store.h"

namespace heimdall {

// A row that names a key of the bucket.
struct KeyReference {
  std::string_view source;  // name of the reference source
  std::string_view value;   // as it stands in the row
  std::string_view key;     // what it means: its primary meaning, which ends in '/' where the source names folders
  std::optional<std::string_view> bucket;  // the row's own
};

// Reads a source that can be read again once more, and calls `visit` for each row that names a key of this bucket. Errors carry the source's name, also those of `visit`.
Result<void> visit_references(const SourceBinding& binding, const std::function<Result<void>(const KeyReference&)>& visit, std::stop_token stop);

// Reads the sources a second time and calls `visit` for each reference that the complete scan of `snapshot` did not hit, once per key
// and source, each after the store said that no object exists that the row may mean: not the key, nor a further meaning. Companions do
// not count. A row whose further meaning the store cannot be asked for is left out.
Result<void> visit_dangling(ObjectReader& store, std::span<const SourceBinding> sources,
                            const ReferenceSnapshot& snapshot,
                            const std::function<Result<void>(const KeyReference&)>& visit, std::stop_token stop);

}  // namespace heimdall
