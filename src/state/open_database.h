#pragma once

#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "io/sqlite.h"
#include "state/database_guard.h"
#include "state/state_directory.h"

namespace heimdall {

struct OpenDatabase {
  DatabaseGuard guard;  // released after `db`
  sqlite::Database db;
  std::string warning;  // not empty: a damaged database was set aside, and what that means
};

// Opens state.db, with its tables. A damaged file is set aside together with the ledgers, so that grace starts again, and a
// fresh one is begun; anything else that fails (rights, space, a newer version, another program's file) is an error and
// changes nothing. `corrupt` only if the file is damaged while another process has it open.
Result<OpenDatabase> open_database(const StateDirectory& directory, const Clock& clock);

// Leaves a mark so that the next open_database() checks the whole file, however large.
void suspect_damage(const StateDirectory& directory);

}  // namespace heimdall
