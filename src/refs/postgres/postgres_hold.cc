#include "refs/postgres/postgres_hold.h"

#include <bit>
#include <cstdint>
#include <optional>
#include <string>

#include "base/format.h"
#include "base/guarded.h"
#include "base/text.h"
#include "io/sha256.h"
#include "refs/postgres/postgres_text.h"

namespace heimdall::postgres {

namespace {

constexpr std::chrono::milliseconds kAnswerPatience = std::chrono::seconds(2);

// The lock as pg_locks shows it: the two halves of its number.
constexpr std::string_view kIsOurLock =
    "l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND ((l.classid::bigint << 32) | l.objid::bigint) = $1::bigint "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

// 64 bits of the name's digest, as PostgreSQL writes a bigint.
std::string lock_number(std::string_view name) {
  Sha256 digest;
  digest.update("heimdall-storage:");
  digest.update(name);
  std::uint64_t number = 0;
  const Sha256Digest bytes = digest.finish();
  for (int i = 0; i < 8; ++i) number = number << 8U | bytes[static_cast<std::size_t>(i)];
  return std::to_string(std::bit_cast<std::int64_t>(number));
}

class AdvisoryLock final : public SourceHold {
 public:
  AdvisoryLock(Session session, std::string number) : session_(std::move(session)), number_(std::move(number)) {}

  bool still_held() override {
    auto session = session_.lock();
    if (!*session) return false;
    if (!asks_server(**session)) session->reset();  // once false it stays false
    return session->has_value();
  }
  bool was_spoken_to() override {
    auto session = session_.lock();
    return *session && (*session)->connection().has_input();
  }

 private:
  bool asks_server(Session& session) const {
    const Parameter parameters[] = {text_parameter(number_)};
    const auto answer = session.connection().query(
        format("SELECT NOT pg_is_in_recovery() AND EXISTS (SELECT FROM pg_locks l WHERE {} AND l.pid = pg_backend_pid() AND l.pid = {})",
               kIsOurLock, session.connection().backend_pid()), parameters, {{}, kAnswerPatience});
    return answer && answer->size() == 1 && answer->at(0).at(0) == "t";
  }

  Guarded<std::optional<Session>> session_;
  const std::string number_;
};

Error held_by_another(Connection& connection, std::string_view name, const std::string& number) {
  Error error{ErrorCode::locked, format("another process holds the lock of '{}' in {}", printable(name), connection.endpoint().text()),
              "wait until it is done; if its host is gone, end it with SELECT pg_terminate_backend(process)"};
  const Parameter parameters[] = {text_parameter(number)};
  const auto holder = connection.query(
      format("SELECT 'process ' || l.pid || coalesce(' ' || nullif(a.application_name, ''), '') || coalesce(' of ' || a.usename, '') || "
             "coalesce(' from ' || host(a.client_addr), '') FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) WHERE {}", kIsOurLock),
      parameters, {{}, kAnswerPatience});
  if (holder && !holder->empty()) error.message += format(": {}", printable(holder->at(0).at(0).value_or("")));
  return error;
}

}  // namespace

Result<std::unique_ptr<SourceHold>> take_hold(Session session, std::string_view name, const std::stop_token& stop) {
  const Wait wait{stop, std::chrono::seconds(10)};
  Connection& connection = session.connection();
  TRY_ASSIGN(const ServerFacts facts, session.facts(wait));
  if (facts.role != Role::primary) {
    return Error{ErrorCode::failed_precondition, format("{} is a replica, which takes no lock", connection.endpoint().text()),
                 "give the primary's url as primary_url"};
  }
  // An idle session must not be ended for being idle; the server must notice when our host is gone, and let go of the lock.
  TRY(connection.query("SELECT set_config(name, CASE name WHEN 'tcp_keepalives_idle' THEN '30' WHEN 'tcp_keepalives_interval' THEN '10' "
                       "WHEN 'tcp_keepalives_count' THEN '3' ELSE '0' END, false) FROM pg_settings WHERE name IN ('idle_session_timeout', "
                       "'tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count')", {}, wait));
  const std::string number = lock_number(name);
  const Parameter parameters[] = {text_parameter(number)};
  TRY_ASSIGN(const Table taken, connection.query("SELECT pg_try_advisory_lock($1::bigint)", parameters, wait));
  if (taken.at(0).at(0) != "t") return held_by_another(connection, name, number);
  return std::unique_ptr<SourceHold>(std::make_unique<AdvisoryLock>(std::move(session), number));
}

}  // namespace heimdall::postgres
