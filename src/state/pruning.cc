#include "state/pruning.h"

#include <algorithm>

#include "base/crash_point.h"
#include "base/format.h"
#include "state/bucket_days.h"
#include "state/columns.h"
#include "state/history_tables.h"
#include "state/transaction.h"

namespace heimdall {

namespace {

// Rows of one transaction: a few milliseconds.
constexpr std::int64_t kRowsAtOnce = 1000;
constexpr std::int64_t kRunsAtOnce = 50;
// A plan expires 24 h after its cutoff; twice that, lest a clock that is set back makes one valid again.
constexpr std::chrono::hours kPlansKept{48};

// Runs that ended before ?1 and that nothing needs any more: not the newest, not one with something in doubt, and for each bucket not the last one that says
// how it looked; oldest first. The searches for a newer run end at the first one that they find.
std::string runs_to_forget() {
  return "SELECT r.run_id FROM runs r WHERE r.started_at < ?1 AND r.status <> 'running' "
                "AND max(r.started_at, coalesce(r.completed_at, 0), coalesce(r.interrupted_at, 0)) < ?1 "
                "AND r.run_id <> (SELECT run_id FROM runs ORDER BY started_at DESC, run_id DESC LIMIT 1) "
                "AND NOT EXISTS (SELECT 1 FROM sweeps s JOIN journal j ON j.sweep = s.id WHERE s.run_id = r.run_id AND j.outcome = 'in_doubt') "
                "AND NOT EXISTS (SELECT 1 FROM run_buckets b WHERE b.run_id = r.run_id AND b.scanned = 1 AND NOT EXISTS "
                "(SELECT 1 FROM run_buckets later JOIN runs n ON n.run_id = later.run_id WHERE later.bucket = b.bucket "
                " AND (n.started_at, n.run_id) > (r.started_at, r.run_id) AND later.scanned = 1)) ORDER BY r.started_at LIMIT ?2";
}

Result<std::int64_t> remove_of(sqlite::Database& db, std::string_view run_id, std::string_view sql) {
  TRY_ASSIGN(sqlite::Statement statement, db.prepare(sql));
  TRY(statement.bind_text(1, run_id).step());
  return db.changes();
}

}  // namespace

Result<bool> Pruning::step() {
  if (!runs_done_) {
    TRY_ASSIGN(const bool more, forget_runs());
    runs_done_ = !more;
    return true;
  }
  if (!plans_done_) {
    TRY(forget_plans());
    plans_done_ = true;
    return true;
  }
  if (!buckets_) {
    TRY_ASSIGN(buckets_, buckets_to_thin(db_, now_));
  }
  if (buckets_->empty()) return false;
  TRY_ASSIGN(Transaction transaction, Transaction::begin(db_));
  TRY_ASSIGN(const std::uint64_t removed, thin_bucket_days(db_, buckets_->back(), now_));
  TRY(transaction.commit());
  buckets_->pop_back();
  pruned_.days += removed;
  return true;
}

// False if there was nothing to forget.
Result<bool> Pruning::forget_runs() {
  TRY_ASSIGN(Transaction transaction, Transaction::begin(db_));
  std::vector<std::string> runs;
  {
    TRY_ASSIGN(sqlite::Statement rows, db_.prepare(runs_to_forget()));
    rows.bind(1, to_column(now_ - keep_runs_)).bind(2, kRunsAtOnce);
    for (;;) {
      TRY_ASSIGN(const bool found, rows.step());
      if (!found) break;
      runs.emplace_back(rows.bytes(0));
    }
  }
  const Pruned before = pruned_;
  std::int64_t budget = kRowsAtOnce;
  Result<void> done;
  for (auto run = runs.begin(); done && run != runs.end() && budget > 0; ++run) done = forget_run(*run, budget);
  crash_point("state.prune.before_commit");
  if (done) done = transaction.commit();
  if (!done) {
    pruned_ = before;
    return done.error();
  }
  return !(pruned_ == before);
}

// The run itself goes last, when nothing of its journal is left: a part of a journal belongs to a run that is still listed.
Result<void> Pruning::forget_run(const std::string& run_id, std::int64_t& budget) {
  {
    TRY_ASSIGN(sqlite::Statement journal,
               db_.prepare("DELETE FROM journal WHERE id IN (SELECT j.id FROM journal j JOIN sweeps s ON s.id = j.sweep "
                           "WHERE s.run_id = ?1 AND j.outcome <> 'in_doubt' LIMIT ?2)"));
    TRY(journal.bind_text(1, run_id).bind(2, budget).step());
  }
  const std::int64_t rows = db_.changes();
  pruned_.journal_rows += static_cast<std::uint64_t>(rows);
  budget -= rows;
  if (budget <= 0) return {};
  for (const char* table : {"sweeps", "run_sweeps", "run_buckets", "runs"}) {
    TRY_ASSIGN(const std::int64_t removed, remove_of(db_, run_id, format("DELETE FROM {} WHERE run_id = ?1", table)));
    budget -= removed;
  }
  ++pruned_.runs;
  return {};
}

Result<void> Pruning::forget_plans() {
  const auto kept = std::max<std::chrono::nanoseconds>(keep_runs_, kPlansKept);
  TRY_ASSIGN(sqlite::Statement remove, db_.prepare("DELETE FROM used_plans WHERE used_at < ?1"));
  TRY(remove.bind(1, to_column(now_ - kept)).step());
  pruned_.plans += static_cast<std::uint64_t>(db_.changes());
  return {};
}

}  // namespace heimdall
