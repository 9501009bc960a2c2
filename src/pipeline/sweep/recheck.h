#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "model/guard.h"
#include "model/policy.h"
#include "pipeline/findings.h"
#include "pipeline/references/reference_snapshot.h"
#include "pipeline/references/snapshot.h"
#include "ports/progress.h"

namespace heimdall {

// What a recheck says about a batch. Counts only until `valid_until` (invariant 12).
struct RecheckVerdict {
  std::vector<std::uint8_t> referenced;  // parallel to the keys asked for
  BootTime valid_until;
  std::optional<Refusal> refusal;        // set: the recheck cannot be believed, stop
};

// How `binding` can be rechecked. Errors as of ReferenceSource::lookup_cost().
Result<RecheckForm> recheck_form(const SourceBinding& binding);

struct RecheckOptions {
  std::chrono::nanoseconds window = std::chrono::seconds(10);       // life of an indexed recheck
  std::chrono::nanoseconds wave_extra = std::chrono::seconds(60);   // life of a wave beyond the length of its read
  std::chrono::milliseconds writer_patience = std::chrono::seconds(60);
  std::vector<Guard> accepted;    // guards overridden for this plan; never recheck_blind or identity_changed
  std::filesystem::path scratch;  // a path to write the wave's snapshot to
};

// Asks the references again, right before keys are deleted (invariant 1). Sources whose mapping can be inverted and that have an index
// are asked for the batch alone; all others are read again whole, through the very code that took the snapshot (a wave), and the
// wave serves the batches of the next while. Each answer carries positive controls: rows that the plan saw must come back, or an empty
// answer is not believed. Not thread-safe.
class Rechecker {
 public:
  // `planned` is parallel to `sources`: what the plan saw of each.
  Rechecker(std::span<const SourceBinding> sources, std::span<const SourceFacts> planned, const BucketPolicy& policy,
            Clock& clock, RecheckOptions options, Progress& progress);

  // Waits for the transactions that were writing when the plan's snapshot was taken, then reads every source once and judges identity,
  // no_references and references_fell again. `unavailable`, naming who is in the way, if they do not end in time.
  Result<std::optional<Refusal>> begin(std::stop_token stop);

  // Whether any row names each of `keys` now, in any spelling the mapping accepts. After an error nothing may be deleted.
  Result<RecheckVerdict> check(std::span<const std::string_view> keys, std::stop_token stop);

 private:
  struct Wave {
    ReferenceSnapshot snapshot;
    BootTime valid_until;
  };

  // Why what the wave saw cannot be believed.
  std::optional<Refusal> judge_wave(const Wave& wave, std::span<const std::size_t> sources) const;
  Result<RecheckVerdict> ask(std::span<const std::string_view> keys, std::stop_token stop);
  Result<std::optional<Refusal>> take_wave(std::span<const std::size_t> sources, std::stop_token stop);
  Result<std::optional<Refusal>> look_up(std::size_t source, std::span<const std::string_view> keys,
                                         RecheckVerdict& verdict, std::stop_token stop);
  Refusal blind(std::size_t source) const;
  bool is_accepted(Guard guard) const;

  std::span<const SourceBinding> sources_;
  std::span<const SourceFacts> planned_;
  const BucketPolicy& policy_;
  Clock& clock_;
  RecheckOptions options_;
  Progress& progress_;
  std::vector<std::size_t> by_wave_;    // sources that are read whole
  std::vector<std::size_t> by_lookup_;  // sources that are asked per batch
  std::optional<Wave> wave_;            // one that was judged and found good
  std::optional<Refusal> refused_;      // what was refused once is refused for good: no later batch may find an unjudged wave
};

}  // namespace heimdall
