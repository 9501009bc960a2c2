#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "model/policy.h"
#include "model/run_report.h"
#include "pipeline/approve.h"
#include "pipeline/recheck.h"
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

// What a sweep of one bucket came to. Every candidate that has no outcome in the journal was not touched.
struct SweepReport {
  BucketFigures figures;            // the plan's, plus what became of the candidates
  std::uint64_t untouched = 0;      // candidates that were not reached
  bool interrupted = false;         // we were asked to stop; the batch at hand was finished
  std::optional<Refusal> refusal;   // the references cannot be believed any more
  std::optional<Error> failure;     // why the sweep ended early
};

// ApprovedPlan --sweep--> Journal
//
// For each batch of bucket number `bucket`: recheck the references, compare the objects with the plan, write the intent, delete what is
// unchanged while the recheck is fresh, write the outcomes. Never throws away an outcome: an error of the journal ends the sweep
// before the next request leaves. `stop` ends it after the batch at hand.
SweepReport sweep(const ApprovedPlan& approved, std::size_t bucket, const SweepTarget& target, JournalLog& journal,
                  Clock& clock, const SweepOptions& options, Progress& progress, std::stop_token stop);

}  // namespace heimdall
