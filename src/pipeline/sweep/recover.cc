#include "pipeline/sweep/recover.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/format.h"
#include "base/text.h"
#include "pipeline/sweep/settle_turns.h"

namespace heimdall {

namespace {

Outcome to_outcome(RemoveOutcome::Kind kind) {
  using Kind = RemoveOutcome::Kind;
  switch (kind) {
    case Kind::deleted:
    case Kind::already_gone: return Outcome::deleted;  // our request went out, and the key is absent
    case Kind::changed: return Outcome::skipped_changed;
    case Kind::failed:
    case Kind::not_sent: return Outcome::failed;
    case Kind::in_doubt: return Outcome::in_doubt;
  }
  return Outcome::in_doubt;
}

Result<void> refresh_report(const std::string& run_id, JournalLog& journal, History& history, Clock& clock) {
  TRY_ASSIGN(std::optional<RunReport> report, history.run(run_id));
  if (!report) return {};
  TRY_ASSIGN(const std::uint64_t in_doubt, count_deletions(*report, journal));
  // A killed run never reached its end, so it is partial at best. One that ended by itself has said how.
  if (in_doubt == 0 && !report->completed_at) {
    report->status = RunStatus::partial;
    report->error = "the run was killed; what it left in doubt was looked up afterwards";
    report->completed_at = clock.now();
  }
  return history.save_run(*report);
}

// Runs that were killed with nothing in doubt, between two batches, have deletions to be counted, too.
Result<void> add_killed_runs(History& history, std::set<std::string>& runs) {
  TRY_ASSIGN(const std::vector<std::string> killed, history.killed_runs());
  runs.insert(killed.begin(), killed.end());
  return {};
}

}  // namespace

Result<RecoverReport> recover(ObjectStore& store, JournalLog& journal, History& history, Clock& clock,
                              std::stop_token stop) {
  RecoverReport report;
  TRY_ASSIGN(const std::string identity, store.identity());
  TRY_ASSIGN(const std::vector<InDoubt> in_doubt, journal.in_doubt(identity));
  std::set<std::string> runs;
  // Whatever the wall clock says, nothing was sent after we began: the delay from here is always enough.
  const auto delay = std::chrono::nanoseconds(store.settle_delay());
  const BootTime surely_settled = clock.boot_now() + delay;
  SettleTurns turns;
  for (std::span<const InDoubt> left = in_doubt; !left.empty();) {
    const auto wait_of = [&](const InDoubt& entry) { return std::min(entry.sent_at + delay - clock.now(), surely_settled - clock.boot_now()); };
    clock.sleep_for(std::max(wait_of(left.front()), std::chrono::nanoseconds(0)), stop);
    if (stop.stop_requested()) break;
    // Those behind it that need no wait of their own.
    const std::span<const InDoubt> most = left.first(turns.next(left.size()));
    const auto settled = std::find_if(most.begin() + 1, most.end(), [&](const InDoubt& entry) { return wait_of(entry).count() > 0; });
    const std::span<const InDoubt> turn(most.begin(), settled);
    left = left.subspan(turn.size());
    std::vector<ObjectMeta> objects;
    for (const InDoubt& entry : turn) objects.push_back(entry.object);
    std::vector<RemoveOutcome> found = turns.settle(store, objects);
    for (std::size_t i = 0; i < turn.size(); ++i) {
      const Outcome outcome = to_outcome(found[i].kind);
      if (outcome == Outcome::in_doubt) {
        ++report.still_in_doubt;
        continue;
      }
      Deletion deletion{turn[i].bucket, turn[i].object, outcome, std::move(found[i].message)};
      TRY(journal.record(turn[i].run_id, std::span(&deletion, 1)));
      runs.insert(turn[i].run_id);
      report.settled.push_back(std::move(deletion));
    }
  }
  TRY(journal.flush());
  TRY(add_killed_runs(history, runs));
  for (const std::string& run_id : runs) TRY(refresh_report(run_id, journal, history, clock));
  if (stop.stop_requested()) return Error{ErrorCode::cancelled, "recover was interrupted; it goes on with the next start"};
  return report;
}

Result<std::uint64_t> count_deletions(RunReport& report, JournalLog& journal) {
  std::map<std::string, BucketFigures> counted;
  for (const auto& [bucket, figures] : report.buckets) counted[bucket];
  std::uint64_t in_doubt = 0;
  TRY(journal.deletions(report.run_id, [&](const Deletion& deletion) -> Result<void> {
    const bool is_doubt = deletion.outcome == Outcome::in_doubt;
    in_doubt += is_doubt ? 1 : 0;
    // Of a run under way they are what it has in hand, not what it failed to delete.
    if (!is_doubt || report.status != RunStatus::running) count(counted[deletion.bucket], deletion.outcome, deletion.object.size_bytes);
    return {};
  }));
  for (const auto& [bucket, figures] : counted) set_outcomes(report.buckets[bucket], figures);
  return in_doubt;
}

Result<void> recount_killed_runs(JournalLog& journal, History& history, Clock& clock) {
  std::set<std::string> runs;
  TRY(add_killed_runs(history, runs));
  for (const std::string& run_id : runs) TRY(refresh_report(run_id, journal, history, clock));
  return {};
}

}  // namespace heimdall
