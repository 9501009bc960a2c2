#pragma once

#include <memory>
#include <stop_token>
#include <string_view>

#include "ports/reference_source.h"
#include "refs/postgres/postgres_session.h"

namespace heimdall::postgres {

// Takes a session advisory lock on `name`, in the database of `session`, and keeps the session for it alone. It is released when
// the session ends, however it ends. It must be a direct connection: behind a pooler that hands a server connection from transaction to
// transaction (pgbouncer in transaction mode) the lock stays with a connection that others use, too; this shows at the first
// still_held() that meets another backend.
//
// failed_precondition, the server is a replica; locked, with the backend that has it; cancelled.
Result<std::unique_ptr<SourceHold>> take_hold(Session session, std::string_view name, const std::stop_token& stop = {});

}  // namespace heimdall::postgres
