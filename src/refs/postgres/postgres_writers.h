#pragma once

#include <chrono>

#include "base/clock.h"
#include "ports/reference_source.h"
#include "refs/postgres/postgres_connection.h"

namespace heimdall::postgres {

// Who is writing now, anywhere in the cluster: "xid8:N", where every transaction that was writing before has an id below N. Empty if
// nobody is. Of a primary only. Uses up one transaction id; a read-only role may.
Result<WriterMark> mark_writers(Connection& primary, const Wait& wait);

// Asks every 100 ms whether every transaction below the mark has ended. failed_precondition after `patience`, naming the backends and
// the prepared transactions in the way; corrupt, it is no mark; failed_precondition, it is no primary (any more).
Result<void> wait_for_mark(Connection& primary, const WriterMark& mark, std::chrono::milliseconds patience, Clock& clock,
                           const std::stop_token& stop);

}  // namespace heimdall::postgres
