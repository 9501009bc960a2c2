#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "ports/history.h"
#include "ports/journal.h"
#include "ports/object_store.h"

namespace heimdall {

struct RecoverReport {
  std::vector<Deletion> settled;   // what was in doubt and is known now
  std::uint64_t still_in_doubt = 0;
};

// Journal --recover--> (next start)
//
// Looks up everything that earlier runs left in doubt in the bucket, never before the store has stopped acting on it, records what is
// found under the run that sent it, and brings that run's report up to date. The caller holds the bucket.
Result<RecoverReport> recover(ObjectStore& store, JournalLog& journal, History& history, Clock& clock,
                              std::stop_token stop);

// Counts a run's deletions anew, as the journal has them: how many of them are in doubt. For runs that have not ended by themselves; the reports of the others say it.
Result<std::uint64_t> count_deletions(RunReport& report, JournalLog& journal);

// Brings the reports of killed runs up to date that have nothing in doubt, or whose doubts somebody else looked up. recover() does it, too.
Result<void> recount_killed_runs(JournalLog& journal, History& history, Clock& clock);

}  // namespace heimdall
