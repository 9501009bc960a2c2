#pragma once

#include <atomic>
#include <cstdint>

#include "ports/journal.h"

namespace heimdall::testing {

enum class JournalFault {
  once,     // one call fails, nothing of it is kept
  for_good, // it and every later call fail: the disk is full
  after_effect,  // done, and reported as failed: a commit whose answer was an I/O error
};

struct JournalFaultPlan {
  JournalFault fault = JournalFault::once;
  std::uint64_t call = 0;  // from 1; 0 never. Writes only.
};

// Passes everything to `inner`, but for the planned write. `inner` outlives it. Thread-safe if that is.
class FaultyJournal final : public JournalLog {
 public:
  FaultyJournal(JournalLog& inner, JournalFaultPlan plan) : inner_(inner), plan_(plan) {}
  bool reached() const { return plan_.call != 0 && calls_ >= plan_.call; }

  Result<void> intend(std::string_view run_id, std::string_view bucket, std::string_view bucket_identity,
                      std::span<const ObjectMeta> objects) override {
    return write([&] { return inner_.intend(run_id, bucket, bucket_identity, objects); });
  }
  Result<void> record(std::string_view run_id, std::span<const Deletion> deletions) override {
    return write([&] { return inner_.record(run_id, deletions); });
  }
  Result<void> flush() override {
    return write([&] { return inner_.flush(); });
  }
  Result<std::vector<InDoubt>> in_doubt(std::string_view bucket_identity) override { return inner_.in_doubt(bucket_identity); }
  Result<void> deletions(std::string_view run_id, const std::function<Result<void>(const Deletion&)>& visit) override {
    return inner_.deletions(run_id, visit);
  }

 private:
  template <class Write>
  Result<void> write(Write write) {
    const std::uint64_t call = ++calls_;
    const bool strikes = plan_.call != 0 && (call == plan_.call || (plan_.fault == JournalFault::for_good && call > plan_.call));
    if (!strikes) return write();
    if (plan_.fault == JournalFault::after_effect) TRY(write());
    return Error{ErrorCode::internal, "a planned fault: the journal cannot be written"};
  }

  JournalLog& inner_;
  const JournalFaultPlan plan_;
  std::atomic<std::uint64_t> calls_{0};
};

}  // namespace heimdall::testing
