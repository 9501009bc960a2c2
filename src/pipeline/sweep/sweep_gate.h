#pragma once

#include <mutex>
#include <span>

#include "base/clock.h"
#include "pipeline/sweep/sweep_state.h"
#include "ports/object_store.h"
#include "ports/reference_source.h"

namespace heimdall {

// The locks that keep sweeps on other hosts away (invariant 9), asked once a second, and as soon as a database speaks by itself. Once lost is lost. Thread-safe.
class Holds {
 public:
  Holds(const Clock& clock, std::span<SourceHold* const> holds) : clock_(clock), holds_(holds) {}
  bool are_ours();

 private:
  const Clock& clock_;
  std::span<SourceHold* const> holds_;
  std::mutex mutex_;
  bool lost_ = false;
  BootTime believed_until_;
};

// Open while the recheck is fresh (invariant 12), nobody else may be sweeping, and no batch saw a reason to stop.
class FreshGate final : public SendGate {
 public:
  FreshGate(const Clock& clock, BootTime valid_until, Holds& holds, const SweepState& state)
      : clock_(clock), valid_until_(valid_until), holds_(holds), state_(state) {}
  bool is_open() const override {
    // Asking for the locks can take a while: what other batches saw meanwhile counts, and the time does.
    return holds_.are_ours() && state_.may_send() && clock_.boot_now() < valid_until_;
  }

 private:
  const Clock& clock_;
  BootTime valid_until_;
  Holds& holds_;
  const SweepState& state_;
};

}  // namespace heimdall
