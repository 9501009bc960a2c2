#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/workspace.h"
#include "base/error.h"
#include "model/run_report.h"
#include "pipeline/run.h"

namespace heimdall {

struct DoubtReport {
  // What nobody could look up, by bucket, and why.
  struct Left {
    std::string bucket;
    std::uint64_t objects = 0;
    Error why;
  };
  std::vector<Deletion> settled;
  std::vector<Left> left;

  // All that is left, in one sentence: in_doubt, unless one reason keeps us from all of it: locked, cancelled, and, if nothing was settled, any other. nullopt if nothing is left.
  std::optional<Error> error() const;
};

// Journal --recover--> (invariant 6), in each bucket of the workspace that has something in doubt, and in no other: one whose store is away or which somebody
// else sweeps keeps no other one in doubt. `left` also names what lies in buckets that are not in the workspace. An error if the state cannot be read or
// written. `takes` chooses among the buckets by name; empty: all.
Result<DoubtReport> recover_doubts(Workspace& workspace, RunContext& context, const std::function<bool(const std::string& bucket)>& takes = {});

}  // namespace heimdall
