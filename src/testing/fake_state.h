#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "ports/history.h"
#include "ports/journal.h"

namespace heimdall::testing {

// A journal in memory with the semantics of the state database. Thread-safe.
class FakeJournal final : public JournalLog {
 public:
  // One row: an object of a run.
  struct Line {
    std::string run_id;
    std::string bucket_identity;
    Deletion deletion;
    std::optional<Timestamp> intended_at;
    std::optional<Timestamp> recorded_at;
  };

  explicit FakeJournal(const Clock& clock) : clock_(clock) {}

  // The process dies: what was not durable is forgotten, what is left in doubt was sent before now.
  void crash();
  // Every write fails with `error` from now on, until called with nullopt. Nothing of a failed call is kept.
  void fail_writes(std::optional<Error> error);
  // The writes from the n-th on (1 is the next one) fail.
  void fail_writes_after(std::size_t n, Error error);

  // What would survive a crash now, in order.
  std::vector<Line> durable() const;
  // The outcome of a key as the journal would tell it after a crash now; nullopt: never intended nor recorded.
  std::optional<Outcome> durable_outcome(std::string_view key) const;
  // How often intend() succeeded.
  std::size_t intents() const;

  Result<void> intend(std::string_view run_id, std::string_view bucket, std::string_view bucket_identity,
                      std::span<const ObjectMeta> objects) override;
  Result<void> record(std::string_view run_id, std::span<const Deletion> deletions) override;
  Result<void> flush() override;
  Result<std::vector<InDoubt>> in_doubt(std::string_view bucket_identity) override;
  Result<void> deletions(std::string_view run_id, const std::function<Result<void>(const Deletion&)>& visit) override;

 private:
  Result<void> check_write();
  void make_durable();
  // The line of an object, to be changed: made if it is not there yet.
  Line& line_of(std::string_view run_id, std::string_view bucket, const ObjectMeta& object);

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::vector<Line> lines_;    // with what is only buffered
  std::vector<Line> durable_;  // as of the last intend() or flush()
  std::set<std::size_t> dirty_;  // places where the two differ
  std::unordered_multimap<std::string, std::size_t> places_;  // by run, bucket and key
  std::map<std::pair<std::string, std::string>, std::string> identities_;  // of run and bucket
  std::optional<Timestamp> crashed_at_;
  std::optional<Error> write_error_;
  std::size_t writes_until_error_ = 0;
  std::size_t intents_ = 0;
};

// A history in memory. Thread-safe.
class FakeHistory final : public History {
 public:
  explicit FakeHistory(const Clock& clock) : clock_(clock) {}

  // Every write fails with `error` from now on, until called with nullopt.
  void fail_writes(std::optional<Error> error);

  Result<void> save_run(const RunReport& report) override;
  Result<std::optional<RunReport>> run(std::string_view run_id) override;
  Result<std::vector<RunReport>> runs(std::size_t limit) override;
  Result<std::vector<std::string>> killed_runs() override;
  Result<std::optional<Baseline>> baseline(std::string_view bucket) override;
  Result<void> save_baseline(std::string_view bucket, const Baseline& baseline) override;
  Result<std::optional<BucketFigures>> last_figures(std::string_view bucket) override;
  Result<void> use_plan(std::string_view plan_digest, std::string_view run_id) override;
  Result<std::optional<std::string>> plan_user(std::string_view plan_digest) override;
  Result<std::optional<ClockAnchor>> clock_anchor() override;
  Result<void> save_clock_anchor(const ClockAnchor& anchor) override;

 private:
  std::vector<RunReport> newest_first() const;

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::optional<Error> write_error_;
  std::map<std::string, RunReport, std::less<>> runs_;
  std::map<std::string, Baseline, std::less<>> baselines_;
  std::map<std::string, std::pair<std::string, Timestamp>, std::less<>> used_plans_;
  std::optional<ClockAnchor> clock_anchor_;
};

}  // namespace heimdall::testing
