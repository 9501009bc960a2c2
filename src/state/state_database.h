#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "base/together.h"
#include "ports/history.h"
#include "ports/journal.h"
#include "state/history_tables.h"
#include "state/journal_table.h"
#include "state/open_database.h"
#include "state/pruning.h"
#include "state/run_query.h"
#include "state/state_directory.h"

namespace heimdall {

// Journal and history in one SQLite file, state.db (docs/formats/state-database.md). Thread-safe; several processes may use it
// side by side, a write waits up to 10 s for the others (then `unavailable`). `internal` where the disk is full or fails.
class StateDatabase final : public JournalLog, public History {
 public:
  struct Opened {
    std::unique_ptr<StateDatabase> database;
    std::string warning;  // not empty: a damaged database was set aside and a fresh one begun; show it
  };
  // `clock` must outlive the database. Errors: see open_database().
  static Result<Opened> open(const StateDirectory& directory, const Clock& clock);
  // Tries to write what record() left; what cannot be written stays in doubt and is looked up by recover.
  ~StateDatabase() override;

  // Every run of a process that is gone becomes `interrupted`. Call it before in_doubt(): it notes the time by which the requests
  // of those runs have surely left.
  Result<void> mark_interrupted_runs();

  Result<void> intend(std::string_view run_id, std::string_view bucket, std::string_view bucket_identity,
                      std::span<const ObjectMeta> objects) override;
  Result<void> record(std::string_view run_id, std::span<const Deletion> deletions) override;
  Result<void> flush() override;
  Result<std::vector<InDoubt>> in_doubt(std::string_view bucket_identity) override;
  // `visit` may call back into the database.
  Result<void> deletions(std::string_view run_id, const std::function<Result<void>(const Deletion&)>& visit) override;
  // The same in pages: some deletions behind row `after` (0: from the first), at most `limit`; `after` moves on. Empty at the end.
  Result<std::vector<Deletion>> next_deletions(std::string_view run_id, std::int64_t& after, std::size_t limit);

  Result<void> save_run(const RunReport& report) override;
  Result<std::optional<RunReport>> run(std::string_view run_id) override;
  Result<std::vector<RunReport>> runs(std::size_t limit) override;
  Result<std::vector<std::string>> killed_runs() override;
  // As run(), but `unavailable` at once while another thread is being served: that one may wait for the disk or for another process.
  Result<std::optional<RunReport>> run_without_waiting(std::string_view run_id);
  // not_found if the run to go on from is none of the history.
  Result<std::vector<RunReport>> runs(const RunQuery& query);
  Result<std::vector<Attempts>> attempts();
  Result<std::optional<Baseline>> baseline(std::string_view bucket) override;
  Result<void> save_baseline(std::string_view bucket, const Baseline& baseline) override;
  Result<std::optional<BucketFigures>> last_figures(std::string_view bucket) override;
  Result<std::optional<MeasuredFigures>> last_measured(std::string_view bucket);
  Result<void> use_plan(std::string_view plan_digest, std::string_view run_id) override;
  Result<std::optional<std::string>> plan_user(std::string_view plan_digest) override;
  Result<std::optional<ClockAnchor>> clock_anchor() override;
  Result<void> save_clock_anchor(const ClockAnchor& anchor) override;

  // failed_precondition if the file is no longer the one that was opened: it was removed or replaced, or its file system is gone. What is written now is lost.
  Result<void> check_in_place() const;
  // Whether runs could write here now: check_in_place(), the file answers, and its disk has room. Errors as of a write.
  Result<void> check_writable();

  // A bucket's points from the day of `since` on (UTC), oldest first; one a day, older than 90 days one a week. save_run() adds them.
  Result<std::vector<BucketDay>> bucket_history(std::string_view bucket, Timestamp since);

  // The last due time of a schedule that was taken care of, whatever its owner means by that; nullopt if it was never saved.
  Result<std::optional<Timestamp>> schedule_mark(std::string_view schedule);
  Result<void> save_schedule_mark(std::string_view schedule, Timestamp due);

  // Removes what is old: runs that ended longer than `keep_runs` ago, with their journal; points of buckets beyond what bucket_history() keeps; the marks of
  // plans that expired long ago (48 h at least). Stay: the newest run, each bucket's last scan, and every run with something in doubt. In small steps with
  // pauses, so that everybody else gets a turn; ends early, as a success, when `stop` is requested. An error leaves what is removed so far removed: the
  // next call goes on. The file does not shrink; its room is used again.
  Result<Pruned> prune(Timestamp now, std::chrono::nanoseconds keep_runs, std::stop_token stop = {});

 private:
  StateDatabase(const StateDirectory& directory, OpenDatabase opened, const Clock& clock);
  std::vector<Result<void>> intend_all(std::span<const JournalTable::Intents> batches);
  // Adds to an error which file it was, and remembers damage for the next start.
  template <class T>
  Result<T> explained(Result<T> result);

  StateDirectory directory_;
  const std::optional<std::pair<dev_t, ino_t>> file_;  // as it was opened
  std::mutex mutex_;  // guards the three below
  OpenDatabase opened_;
  JournalTable journal_;
  HistoryTables history_;
  std::condition_variable_any pause_;  // of prune(); nobody notifies it
  // Batches that come while one is being written share the next transaction.
  Together<JournalTable::Intents, Result<void>> intents_{
      [this](std::span<const JournalTable::Intents> batches) { return intend_all(batches); }};
};

}  // namespace heimdall
