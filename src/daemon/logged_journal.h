#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "ports/journal.h"

namespace heimdall {

// A journal that also tells the log what became of each object ("object.deleted", "object.skipped_changed", ...; debug), and whoever counts. What is not in the
// journal is told to nobody. Thread-safe.
class LoggedJournal final : public JournalLog {
 public:
  // Called after each record() with what it recorded and of which run, from any thread.
  using Told = std::function<void(std::string_view run_id, std::span<const Deletion>)>;
  LoggedJournal(JournalLog& journal, Log& log, Told told) : journal_(journal), log_(log), told_(std::move(told)) {}

  // Deletions recorded so far.
  std::uint64_t deleted() const { return deleted_; }

  Result<void> intend(std::string_view run_id, std::string_view bucket, std::string_view bucket_identity, std::span<const ObjectMeta> objects) override {
    return journal_.intend(run_id, bucket, bucket_identity, objects);
  }
  Result<void> record(std::string_view run_id, std::span<const Deletion> deletions) override;
  Result<void> flush() override { return journal_.flush(); }
  Result<std::vector<InDoubt>> in_doubt(std::string_view bucket_identity) override { return journal_.in_doubt(bucket_identity); }
  Result<void> deletions(std::string_view run_id, const std::function<Result<void>(const Deletion&)>& visit) override {
    return journal_.deletions(run_id, visit);
  }

 private:
  JournalLog& journal_;
  Log& log_;
  const Told told_;
  std::atomic<std::uint64_t> deleted_{0};
};

}  // namespace heimdall
