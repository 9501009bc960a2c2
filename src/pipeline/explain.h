#pragma once

#include <filesystem>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "model/policy.h"
#include "pipeline/references/snapshot.h"
#include "ports/object_store.h"

namespace heimdall {

struct Explanation {
  std::string bucket;
  std::string key;
  std::string verdict;               // "referenced|protected|young|in_grace|due|absent"
  std::vector<std::string> reasons;  // sentences with the evidence
};

// Why this object would (not) be deleted: reads every source for rows that name the key, looks at the object, its age, protection and
// the ledger. Decides as scan() does. Errors as of the sources and the store; nothing is written.
Result<Explanation> explain(ObjectReader& store, std::span<const SourceBinding> sources, const BucketPolicy& policy,
                            const std::filesystem::path& ledger, const std::string& key, std::stop_token stop);

}  // namespace heimdall
