#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "refs/postgres/postgres_connection.h"

namespace heimdall::postgres {

enum class Role { primary, replica };

// What a server says about itself, at one moment.
struct ServerFacts {
  Role role = Role::primary;
  // The cluster's system identifier, which its replicas share. Where the role may not execute pg_control_system() (by default everybody
  // may) it is "at host:port": stable over restarts, but a replica has another one.
  std::string cluster;
  std::string database;  // "oid:name"
  // Of a primary the one it writes; of a replica the latest one it is known to follow.
  std::uint64_t timeline = 0;
  // Of a primary what is durable of its log, of a replica what it has replayed of it: a replica is never ahead of its primary.
  std::uint64_t position = 0;
};

// The snapshot of one session's transaction, for others on the same server.
struct SharedSnapshot {
  std::string name;   // of pg_export_snapshot()
  std::string token;  // of an advisory lock which that transaction alone has
};

struct SessionOptions {
  ConnectOptions connect;
  std::chrono::milliseconds statement_timeout = std::chrono::hours(1);
  std::chrono::milliseconds lock_timeout = std::chrono::seconds(10);
};

// A connection that proves who answers, and its snapshots. Not thread-safe. Errors are those of Connection.
class Session {
 public:
  static Result<Session> open(const SessionOptions& options, const std::stop_token& stop);

  Result<ServerFacts> facts(const Wait& wait);
  // BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY, with the settings of a read. Rows that row-level security would hide are an error.
  // Text is UTF-8; in a database that knows no encoding (SQL_ASCII) its bytes are as they are. With `shared` it is the snapshot of another
  // session; failed_precondition, this one did not meet the same running server.
  Result<void> begin(const Wait& wait);
  Result<void> begin(const SharedSnapshot& shared, const Wait& wait);
  // Lets others begin in this session's snapshot for as long as its transaction lasts.
  Result<SharedSnapshot> share(const Wait& wait);
  // Another session on the same server. throttled, it has no connection left.
  Result<Session> another(const std::stop_token& stop) const;

  Connection& connection() { return connection_; }
  // Whether any string of UTF-8 can be sent and compared: the database's encoding is UTF8, or none.
  bool takes_utf8() const;
  // Whether any bytes can be in its text.
  bool takes_any_bytes() const;

 private:
  Session(Connection connection, const SessionOptions& options) : connection_(std::move(connection)), options_(options) {}
  Result<void> begin_with(const std::string& snapshot, const Wait& wait);
  Result<void> allow_idling(const Wait& wait);

  Connection connection_;
  SessionOptions options_;
  std::string facts_sql_;
};

// "postgresql:7711206153555108054/16384:app/timeline:1".
std::string identity_text(const ServerFacts& facts);

// failed_precondition if `replica` does not belong to `primary`, or is not known to follow its timeline.
Result<void> check_follows(const ServerFacts& replica, const ServerFacts& primary, const Endpoint& replica_at, const Endpoint& primary_at);

}  // namespace heimdall::postgres
