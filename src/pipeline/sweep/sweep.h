#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "model/policy.h"
#include "model/run_report.h"
#include "pipeline/approve.h"
#include "pipeline/sweep/recheck.h"
#include "pipeline/sweep/sweep_state.h"
#include "ports/journal.h"
#include "ports/object_store.h"
#include "ports/progress.h"
#include "ports/reference_source.h"

namespace heimdall {

// Where one bucket of the plan is swept; borrowed.
struct SweepTarget {
  ObjectStore& store;
  const BucketPolicy& policy;
  std::span<const SourceBinding> sources;
  std::span<SourceHold* const> holds = {};  // locks against sweeps on other hosts: once one is lost, nothing more is sent
};

struct SweepOptions {
  std::string run_id;
  // Called once, before the first intent is written; an error ends the sweep with nothing sent.
  std::function<Result<void>()> before_first_intent = [] { return Result<void>(); };
  RecheckOptions recheck;
};

// identity_changed if the bucket that is there now is not the one that the plan was made for.
std::optional<Refusal> identity_refusal(const BucketPlan& plan, const std::string& identity);

// ApprovedPlan --sweep--> Journal
//
// Bucket number `bucket`, batch by batch (BatchSweep): recheck the references, compare the objects with the plan, write the intent, delete
// what is unchanged while the recheck is fresh, write the outcomes. Several batches are under way at once, as many as the store likes best
// (DeletePace) or `delete_workers` says; their order in the journal is theirs.
//
// Never throws away an outcome. A refusal, a lost lock or an error that one batch sees ends the sweep before the next request of any
// leaves. `stop` ends it after the batches at hand.
SweepReport sweep(const ApprovedPlan& approved, std::size_t bucket, const SweepTarget& target, JournalLog& journal,
                  Clock& clock, const SweepOptions& options, Progress& progress, std::stop_token stop);

}  // namespace heimdall
