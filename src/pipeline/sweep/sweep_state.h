#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "model/guard.h"
#include "model/run_report.h"

namespace heimdall {

// What a sweep of one bucket came to. Every candidate that has no outcome in the journal was not touched.
struct SweepReport {
  BucketFigures figures;            // the plan's, plus what became of the candidates
  SweepTimes times;
  std::uint64_t in_doubt = 0;       // of those that failed
  std::string first_failure;        // why the first key that failed did; empty if none did
  std::uint64_t untouched = 0;      // candidates that were not reached
  bool interrupted = false;         // we were asked to stop; the batches at hand were finished
  std::optional<Refusal> refusal;   // the references cannot be believed any more
  std::optional<Error> failure;     // why the sweep ended early
};

// What the batches of one sweep share: the report they add to, what is in doubt, and whether there was a reason to stop. Thread-safe.
class SweepState {
 public:
  SweepState(const BucketFigures& planned, std::uint64_t candidates);

  // The first one counts. From then on nothing is sent.
  void fail(Error error);
  void refuse(Refusal refusal);
  bool may_send() const { return may_send_.load(); }

  void count(const std::vector<Deletion>& outcomes);
  void spent(std::chrono::nanoseconds SweepTimes::*stage, std::chrono::nanoseconds time);

  // What left without a clear answer, what was answered, and by when it surely had left.
  struct InDoubt {
    std::vector<ObjectMeta> objects;
    std::vector<std::string> why;  // of each; one sentence, may be empty
    BootTime last_sent;
  };
  void doubt(InDoubt more);
  std::size_t in_doubt() const;
  InDoubt take_in_doubt();

  SweepReport report() const;

 private:
  std::atomic<bool> may_send_{true};
  mutable std::mutex mutex_;  // guards all below
  SweepReport report_;
  InDoubt in_doubt_;
};

}  // namespace heimdall
