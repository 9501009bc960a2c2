#include "refs/postgres/postgres_session.h"

#include <bit>

#include "base/format.h"
#include "base/ids.h"
#include "refs/postgres/postgres_text.h"

namespace heimdall::postgres {

namespace {

// The functions that say which cluster this is, where this role may execute them; a call of one that it may not would be an error
// even where it is never reached.
Result<std::string> facts_sql(Connection& connection, const Wait& wait) {
  TRY_ASSIGN(const Table allowed, connection.query("SELECT has_function_privilege('pg_control_system()', 'EXECUTE'), "
                                                   "has_function_privilege('pg_control_checkpoint()', 'EXECUTE'), "
                                                   "has_function_privilege('pg_control_recovery()', 'EXECUTE')", {}, wait));
  const auto may = [&](std::size_t n) { return allowed.at(0).at(n) == "t"; };
  const std::string cluster = may(0) ? "(SELECT system_identifier FROM pg_control_system())" : "NULL";
  const std::string checkpoint = may(1) ? "(SELECT timeline_id FROM pg_control_checkpoint())" : "NULL";
  const std::string recovery = may(2) ? "(SELECT min_recovery_end_timeline FROM pg_control_recovery())" : "NULL";
  // The control file lags behind after a promotion, on both sides; the name of a log file does not, but only a primary tells it.
  return format(R"(
    SELECT pg_is_in_recovery(), d.oid || ':' || d.datname, {},
           CASE WHEN pg_is_in_recovery() THEN greatest({}, {}, (SELECT received_tli FROM pg_stat_wal_receiver), 0)::bigint
                ELSE ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::bigint END,
           coalesce(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END - '0/0', 0)
      FROM pg_database d WHERE d.datname = current_database())", cluster, checkpoint, recovery);
}

}  // namespace

Result<Session> Session::open(const SessionOptions& options, const std::stop_token& stop) {
  TRY_ASSIGN(Connection connection, Connection::connect(options.connect, stop));
  Session session(std::move(connection), options);
  const Wait wait{stop, options.connect.connect_timeout};
  TRY_ASSIGN(session.facts_sql_, facts_sql(session.connection_, wait));
  return session;
}

Result<ServerFacts> Session::facts(const Wait& wait) {
  TRY_ASSIGN(const Table table, connection_.query(facts_sql_, {}, wait));
  if (table.size() != 1) {
    return Error{ErrorCode::corrupt, format("{} does not say which database it is", connection_.endpoint().text())};
  }
  const auto& row = table[0];
  ServerFacts facts;
  facts.role = row[0] == "t" ? Role::replica : Role::primary;
  facts.database = row[1].value_or("");
  const Endpoint& at = connection_.endpoint();
  facts.cluster = row[2] ? *row[2] : format("at {}:{}", at.host, at.port);
  TRY_ASSIGN(facts.timeline, parse_number(row[3]));
  TRY_ASSIGN(facts.position, parse_number(row[4]));
  return facts;
}

Result<void> Session::begin(const Wait& wait) { return begin_with("", wait); }

// The names of snapshots are numbers that another server has, too. What it does not have is a lock of a random number.
Result<void> Session::begin(const SharedSnapshot& shared, const Wait& wait) {
  const Error elsewhere{ErrorCode::failed_precondition, format("{} is not one server: two connections met different ones", connection_.endpoint().text()),
                        "give the url of one server, not that of a balancer"};
  const auto begun = begin_with(format("SET TRANSACTION SNAPSHOT '{}';", shared.name), wait);
  if (!begun && begun.error().code == ErrorCode::invalid_argument) return elsewhere;  // there is none of that name, or it is another database's
  TRY(begun);
  const Parameter parameters[] = {text_parameter(shared.token)};
  TRY_ASSIGN(const Table here, connection_.query("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
                                                 "AND ((classid::bigint << 32) | objid::bigint) = $1::bigint "
                                                 "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
                                                 parameters, wait));
  if (here.at(0).at(0) == "t") return allow_idling(wait);
  return elsewhere;
}

Result<SharedSnapshot> Session::share(const Wait& wait) {
  const std::string token = std::to_string(std::bit_cast<std::int64_t>(random_u64()));
  const Parameter parameters[] = {text_parameter(token)};
  TRY_ASSIGN(const Table table, connection_.query("SELECT pg_export_snapshot(), pg_try_advisory_xact_lock_shared($1::bigint)", parameters, wait));
  const std::string name = table.at(0).at(0).value_or("");
  const bool is_plain = !name.empty() && name.find_first_not_of("0123456789ABCDEF-") == std::string::npos;
  if (!is_plain || table[0].at(1) != "t") return Error{ErrorCode::corrupt, format("{} does not name its snapshot", connection_.endpoint().text())};
  TRY(allow_idling(wait));
  return SharedSnapshot{name, token};
}

// A session that is done waits for the others, for as long as their statements may last.
Result<void> Session::allow_idling(const Wait& wait) {
  return connection_.execute(format("SET LOCAL idle_in_transaction_session_timeout = {}", options_.statement_timeout.count()), wait);
}

Result<Session> Session::another(const std::stop_token& stop) const {
  SessionOptions options = options_;
  options.connect.place = connection_.place();
  return open(options, stop);
}

Result<void> Session::begin_with(const std::string& snapshot, const Wait& wait) {
  return connection_.execute(
      format("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {} SET LOCAL row_security = off; SET LOCAL client_encoding = {}; "
             "SET LOCAL bytea_output = hex; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}; "
             "SET LOCAL idle_in_transaction_session_timeout = '10min'; "
             // From version 14 on the server looks whether we are still there while a statement runs.
             "SELECT set_config(name, '1000', true) FROM pg_settings WHERE name = 'client_connection_check_interval' AND version() LIKE '%linux%'",
             snapshot, takes_any_bytes() ? "SQL_ASCII" : "UTF8", options_.statement_timeout.count(), options_.lock_timeout.count()),
      wait);
}

bool Session::takes_utf8() const { return takes_any_bytes() || connection_.server_encoding() == "UTF8"; }
bool Session::takes_any_bytes() const { return connection_.server_encoding() == "SQL_ASCII"; }

std::string identity_text(const ServerFacts& facts) {
  return format("postgresql:{}/{}/timeline:{}", facts.cluster, facts.database, facts.timeline);
}

Result<void> check_follows(const ServerFacts& replica, const ServerFacts& primary, const Endpoint& replica_at, const Endpoint& primary_at) {
  const auto refused = [&](std::string why, std::string hint) {
    return Error{ErrorCode::failed_precondition, format("{} and {} {}", replica_at.text(), primary_at.text(), why), std::move(hint)};
  };
  if (replica.cluster != primary.cluster || replica.database != primary.database) {
    return refused(format("hold other data: '{}/{}' and '{}/{}'", replica.cluster, replica.database, primary.cluster, primary.database),
                   replica.cluster.starts_with("at ") ? "let the role say which cluster it is on: GRANT EXECUTE ON FUNCTION pg_control_system() TO it"
                                                      : "check url and primary_url: they must lead to one database");
  }
  if (replica.timeline == primary.timeline) return {};
  return refused(format("are on different timelines, {} and {}", replica.timeline, primary.timeline),
                 "let the replica follow this primary; right after a failover it shows only at its next restart point, or to a role "
                 "with pg_read_all_stats");
}

}  // namespace heimdall::postgres
