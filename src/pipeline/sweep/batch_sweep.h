#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/policy.h"
#include "pipeline/plan.h"
#include "pipeline/sweep/shared_recheck.h"
#include "pipeline/sweep/sweep_gate.h"
#include "pipeline/sweep/sweep_state.h"
#include "ports/journal.h"
#include "ports/object_store.h"
#include "ports/progress.h"

namespace heimdall {

// What all batches of one sweep work with; borrowed, and thread-safe.
struct SweepTools {
  const BucketPlan& plan;
  ObjectStore& store;
  JournalLog& journal;
  Clock& clock;
  const std::string& run_id;
  Holds& holds;
  SharedRecheck& recheck;
  SweepState& state;
  Progress& progress;
  const std::function<Result<void>()>& before_intent;
};

// One batch, from the recheck to its outcomes:
//
//   recheck -> compare -> intent -> delete -> outcomes
//
// and again for what could not be sent while the verdict was fresh. Sends nothing once the state says so; what had an intent by then is
// known not to have been sent. Not thread-safe; several may be under way side by side.
class BatchSweep {
 public:
  BatchSweep(const SweepTools& tools, std::vector<ObjectMeta> batch) : tools_(tools), batch_(std::move(batch)) {}

  // An error or a refusal (in the state) ends the sweep. The journal then says of each object that was touched what became of it.
  Result<void> run();

  // A verdict got stale before all was sent: the store is slower than what is asked of it.
  bool was_late() const { return was_late_; }

 private:
  Result<void> attempt();
  Result<RecheckVerdict> recheck();
  Result<void> drop_referenced(const std::vector<std::uint8_t>& referenced);
  Result<void> drop_changed();
  Result<void> write_intents();
  Result<void> send(const SendGate& gate);
  Result<void> give_up(const std::string& why);
  void note(const ObjectMeta& object, Outcome outcome, std::string error = "");
  Result<void> write_outcomes();
  Error lock_lost() const;

  const SweepTools& tools_;
  std::vector<ObjectMeta> batch_;    // without an outcome so far
  std::vector<Deletion> outcomes_;   // not yet written
  bool has_intent_ = false;          // of what is in batch_
  bool was_late_ = false;
};

// What a store's word for an object means in the journal.
Outcome outcome_of(RemoveOutcome::Kind kind);

}  // namespace heimdall
