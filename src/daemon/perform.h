#pragma once

#include <functional>
#include <memory>

#include "app/config/config.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/logged_journal.h"
#include "daemon/runner.h"
#include "ports/history.h"
#include "ports/store_traffic.h"

namespace heimdall {

// What the runs of the service are made of; borrowed.
struct PerformTools {
  std::function<std::shared_ptr<const Config>()> config;  // of the moment: a run keeps the one it began with
  Clock& clock;
  Log& log;
  StoreTraffic& traffic;
  History& history;  // for runs that do not get as far as a workspace of their own
  LoggedJournal::Told deletions = {};
  std::function<Result<void>()> ready = {};  // asked before each run, which fails with its error
};

// Runs as the command line does them, each in a workspace of its own. However a run ends, its report is in the history (where that can be written); what
// there is to know about the opening of the workspace, and what could not be written, goes to the run's progress as a warning.
PerformRun make_perform(PerformTools tools);

}  // namespace heimdall
