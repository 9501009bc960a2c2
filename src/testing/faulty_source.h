#pragma once

#include <cstdint>
#include <span>

#include "ports/reference_source.h"
#include "testing/fake_source.h"

namespace heimdall::testing {

enum class SourceFault {
  error,                 // `unavailable` before anything was done
  timeout_after_effect,  // every row was handed over, then `unavailable`
  truncated,             // half of the rows were handed over, then `corrupt`
  duplicated_rows,       // each batch comes twice: nothing is wrong
  reordered_rows,        // the rows come backwards: nothing is wrong
};

enum class SourceCall { any, identity, read, lookup_cost, lookup, wait_for_writers };

// Fails the `call`-th call (from 1; 0 never) of `verb`. A fault about rows on a call that has none does nothing, but for the
// time-out, which fails every call.
struct SourceFaultPlan {
  SourceFault fault = SourceFault::error;
  std::uint64_t call = 0;
  SourceCall verb = SourceCall::any;
};

// Passes everything to `inner`, but for one call. `inner` outlives it. Not thread-safe.
//   for (n = 1;; ++n) { FaultySource source(inner, {fault, n}); ...; if (!source.reached()) break; }
class FaultySource final : public ReferenceSource {
 public:
  FaultySource(ReferenceSource& inner, SourceFaultPlan plan) : inner_(inner), plan_(plan) {}

  std::uint64_t calls() const { return calls_; }
  bool reached() const { return plan_.call != 0 && calls_ >= plan_.call; }

  Result<SourceIdentity> identity() override;
  Result<ReadSummary> read(RowSink& sink, std::stop_token stop) override;
  bool can_read_again() const override { return inner_.can_read_again(); }
  Result<LookupCost> lookup_cost() override;
  Result<ReadSummary> lookup(std::span<const std::string> values, RowSink& sink, std::stop_token stop) override;
  Result<void> wait_for_writers(const WriterMark& mark, std::chrono::milliseconds patience, std::stop_token stop) override;

 private:
  // Counts one call; whether this is the one.
  bool strikes(SourceCall verb);
  // As strikes(), where only a lost answer matters.
  bool fails(SourceCall verb);
  // Turns the rows of a clean call into those of the fault.
  Result<ReadSummary> spoil(Result<ReadSummary> summary, const RowCollector& rows, RowSink& sink) const;

  ReferenceSource& inner_;
  const SourceFaultPlan plan_;
  std::uint64_t calls_ = 0;
};

}  // namespace heimdall::testing
