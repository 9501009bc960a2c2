#include "refs/postgres/postgres_writers.h"

#include <vector>

#include "base/format.h"
#include "base/text.h"
#include "refs/postgres/postgres_text.h"

namespace heimdall::postgres {

namespace {

constexpr std::string_view kPrefix = "xid8:";
constexpr std::chrono::milliseconds kPollInterval{100};
constexpr std::chrono::milliseconds kAnswerPatience = std::chrono::seconds(30);

// In words, the oldest three. Ids in pg_stat_activity have 32 bits and go round; the state of other roles' backends needs
// pg_read_all_stats, the rest does not.
Result<std::string> who_is_below(Connection& primary, const std::string& xid, const Wait& wait) {
  static const std::string kSql = R"(
    SELECT text FROM (
      SELECT age(backend_xid) AS age, 'process ' || pid || coalesce(' ' || nullif(application_name, ''), '') || ' of ' || coalesce(usename, '?')
             || coalesce(' in ' || datname, '') || coalesce(', ' || state, '') || coalesce(', since ' || date_trunc('second', xact_start), '')
             AS text
        FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
         AND ($1::text::numeric - backend_xid::text::numeric + 4294967296) % 4294967296 BETWEEN 1 AND 2147483647
      UNION ALL
      SELECT age(transaction), 'prepared transaction ' || quote_literal(gid) || ' of ' || owner || ' in ' || database
             || ', since ' || date_trunc('second', prepared)
        FROM pg_prepared_xacts
       WHERE ($1::text::numeric - transaction::text::numeric + 4294967296) % 4294967296 BETWEEN 1 AND 2147483647) AS w
    ORDER BY age DESC LIMIT 3)";
  std::uint64_t number = 0;
  TRY_ASSIGN(number, parse_number(xid));
  const Parameter parameters[] = {text_parameter(std::to_string(number % 4294967296))};
  TRY_ASSIGN(const Table table, primary.query(kSql, parameters, wait));
  std::string names;
  for (const auto& row : table) names += (names.empty() ? "" : "; ") + row.at(0).value_or("");
  return names.empty() ? "a transaction that cannot be seen from here" : printable(names);
}

}  // namespace

Result<WriterMark> mark_writers(Connection& primary, const Wait& wait) {
  // READ COMMITTED: the second statement must see our own id in its snapshot.
  TRY(primary.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", wait));
  TRY_ASSIGN(const Table own, primary.query("SELECT pg_current_xact_id()", {}, wait));
  const std::string xid = own.at(0).at(0).value_or("");
  TRY(parse_number(xid));
  const Parameter parameters[] = {text_parameter(xid)};
  TRY_ASSIGN(const Table quiet, primary.query("SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8", parameters, wait));
  TRY(primary.commit(wait));
  return quiet.at(0).at(0) == "t" ? WriterMark{} : WriterMark{format("{}{}", kPrefix, xid)};
}

Result<void> wait_for_mark(Connection& primary, const WriterMark& mark, std::chrono::milliseconds patience, Clock& clock,
                           const std::stop_token& stop) {
  if (mark.text.empty()) return {};
  const std::string xid = mark.text.substr(std::min(kPrefix.size(), mark.text.size()));
  if (!mark.text.starts_with(kPrefix) || !parse_number(xid)) {
    return Error{ErrorCode::corrupt, format("'{}' is no mark of a PostgreSQL database", printable(mark.text))};
  }
  const Parameter parameters[] = {text_parameter(xid)};
  const Wait wait{stop, kAnswerPatience};
  const BootTime deadline = clock.boot_now() + patience;
  for (;;) {
    TRY_ASSIGN(const Table ended, primary.query("SELECT pg_is_in_recovery(), pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8",
                                                parameters, wait));
    if (ended.at(0).at(0) != "f") {
      return Error{ErrorCode::failed_precondition, format("{} is a replica now", primary.endpoint().text()), "run the command again"};
    }
    if (ended[0].at(1) == "t") return {};
    if (stop.stop_requested()) {
      return Error{ErrorCode::cancelled, format("waiting for transactions of {} was stopped", primary.endpoint().text())};
    }
    if (clock.boot_now() >= deadline) break;
    clock.sleep_for(kPollInterval, stop);
  }
  TRY_ASSIGN(const std::string who, who_is_below(primary, xid, wait));
  return Error{ErrorCode::failed_precondition,
               format("{}: a transaction has been writing since before the references were read: {}", primary.endpoint().text(), who),
               "let it commit or end it (SELECT pg_terminate_backend(process), ROLLBACK PREPARED), then run the command again; what was not "
               "deleted is left to the next run"};
}

}  // namespace heimdall::postgres
