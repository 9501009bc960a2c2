#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "ports/reference_source.h"
#include "refs/json_strings.h"
#include "refs/postgres/postgres_plan.h"
#include "refs/postgres/postgres_rows.h"
#include "refs/postgres/postgres_session.h"

namespace heimdall {

struct PostgresSourceOptions {
  std::string url;                         // by the rules of libpq, with its parameters, services and password files
  std::optional<std::string> primary_url;  // needed where `url` leads to a replica
  // Asked before each connection, but for those that join a read; nothing: the URL, ~/.pgpass and so on. Never repeated in a message.
  std::function<Result<std::optional<std::string>>()> password;
  std::string query;  // one SELECT, WITH, VALUES or TABLE; or `table` ("schema.table") and `column`
  std::string table;
  std::string column;
  std::optional<JsonSelector> json;    // the values are JSON documents
  std::optional<std::string> recheck;  // a query whose rows are those of `query` with a value in $1, a text[]
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(10);  // where the URL does not say
  std::chrono::milliseconds statement_timeout = std::chrono::hours(1);
  std::chrono::milliseconds lock_timeout = std::chrono::seconds(10);
  // Of `table` and `column`: connections that read parts of it side by side. Unset: two, where that does not push out what the server keeps in memory.
  std::optional<std::size_t> readers;
  std::uint64_t small_table = 16 * 1024 * 1024;  // bytes that one of them reads alone
  std::stop_token stop = {};  // of what takes none of its own: once it is requested, no answer of the server is waited for
};

// References in a PostgreSQL database, version 13 or later.
//
// Each read is one REPEATABLE READ READ ONLY snapshot on connections of its own, streamed, and believed only after the server's
// last word and a COMMIT on each of them. Rows of texts and bytes come by COPY, others by SELECT. Rows are one column, or two named `key` and `bucket`; see RowReader for types. Row-level security that would
// hide rows is an error. The identity is proved by each connection before its answers count: system identifier, database, timeline,
// the durable position of the log, and the tables in the query's plan, partitions as the table they belong to.
//
// A column of an ordinary table, or of a partitioned one, is read by several connections, each a thread: every row by the one whose range of
// blocks it lies in, all in one exported snapshot, on one server, each having proved what the first one did. A read calls the sink from these threads,
// one at a time. If the server has no connection left for one of them, fewer read; any other failure of one fails the read. The statement_timeout is that
// of each range.
//
// A replica serves read() and identity() only with `primary_url`, and a read only after it has replayed what the primary had logged when the
// read began. Everything else is asked of the primary: writers, lookups, holds.
//
// Beside LIMIT and sampling, `partial` names what a snapshot cannot see to the end: foreign tables and materialized views.
//
// Errors beside those of the port: failed_precondition, a replica without primary_url, or one that follows another timeline;
// throttled, the server has no connection left; unavailable also for time-outs, ended backends, conflicts with recovery and a replica that
// stays behind; corrupt, a value does not fit its encoding or is no JSON.
class PostgresSource final : public ReferenceSource {
 public:
  PostgresSource(PostgresSourceOptions options, Clock& clock) : options_(std::move(options)), clock_(clock) {}

  Result<SourceIdentity> identity() override;
  // Connects and asks for a constant, here and on the primary, each within five seconds.
  Result<void> ping(const std::stop_token& stop) override;
  Result<ReadSummary> read(RowSink& sink, std::stop_token stop) override;
  bool can_read_again() const override { return true; }
  bool looks_up_keys() const override { return options_.recheck.has_value(); }

  // unsupported for JSON, and in databases whose encoding cannot hold every key (anything but UTF8 and SQL_ASCII); without `recheck`
  // also for (bucket, key) and for columns whose type is neither text nor varchar. indexed if the looked-up values lead to
  // the rows by an index, tables of up to kCheapRows rows aside.
  // invalid_argument, the recheck query has a LIMIT, or no $1.
  Result<LookupCost> lookup_cost() override;
  // On one connection to the primary that is kept; each in a new snapshot. Only where lookup_cost() is not `unsupported`: else
  // failed_precondition. A connection that broke meanwhile is replaced once.
  Result<ReadSummary> lookup(std::span<const std::string> values, RowSink& sink, std::stop_token stop) override;

  Result<void> wait_for_writers(const WriterMark& mark, std::chrono::milliseconds patience, std::stop_token stop) override;
  Result<std::unique_ptr<SourceHold>> hold(std::string_view name) override;

 private:
  // What a session in its snapshot proved about the query.
  struct Proof {
    SourceIdentity identity;
    std::optional<std::string> partial;
    postgres::RowShape shape;
    postgres::Role role = postgres::Role::primary;
    std::vector<postgres::RelationFacts> relations;
  };
  enum class Freshness { any, replayed };

  Result<std::string> sql() const;
  postgres::Wait asking(std::stop_token stop) const;
  postgres::Wait streaming(std::stop_token stop) const;
  Result<postgres::Session> open(const std::string& url, const std::stop_token& stop) const;
  Result<postgres::Session> open_reader(Freshness freshness, const std::stop_token& stop);
  Result<postgres::Session> open_primary(const std::stop_token& stop) const;
  Result<postgres::Session*> primary(const std::stop_token& stop);
  Result<postgres::Session*> primary_snapshot(const std::stop_token& stop);
  Result<void> wait_for_replay(postgres::Session& replica, postgres::Session& primary, const std::stop_token& stop);
  Result<Proof> prove(postgres::Session& session, const postgres::Wait& wait);
  Result<std::vector<postgres::Session>> join(postgres::Session& first, const Proof& proof, std::size_t readers, const std::stop_token& stop);
  Result<ReadSummary> look_up(std::span<const std::string> values, RowSink& sink, const std::stop_token& stop);
  Result<LookupCost> cost(postgres::Session& session, const postgres::Wait& wait);
  Result<bool> can_look_up(postgres::Session& session, const postgres::RowShape& shape) const;

  PostgresSourceOptions options_;
  Clock& clock_;
  std::optional<postgres::Session> primary_;  // kept between lookups
};

}  // namespace heimdall
