#include "refs/postgres/postgres_source.h"

#include <algorithm>
#include <atomic>
#include <unordered_set>
#include <vector>

#include "base/format.h"
#include "base/ids.h"
#include "base/text.h"
#include "refs/postgres/parallel_read.h"
#include "refs/postgres/postgres_hold.h"
#include "refs/postgres/postgres_plan.h"
#include "refs/postgres/postgres_ranges.h"
#include "refs/postgres/postgres_text.h"
#include "refs/postgres/postgres_writers.h"
#include "refs/row_batch.h"
#include "refs/sql_text.h"

namespace heimdall {

using postgres::Parameter;
using postgres::Role;
using postgres::ServerFacts;
using postgres::Session;
using postgres::Wait;

namespace {

constexpr std::size_t kValuesPerQuery = 5000;
constexpr std::size_t kTypicalBatch = 1000;
constexpr std::size_t kReaders = 2;  // of a large table, where nothing else is asked for
constexpr std::chrono::milliseconds kPollInterval{100};
constexpr std::chrono::seconds kReplayPatience{60};
constexpr std::chrono::milliseconds kPingTimeout{5000};

std::optional<std::string> why_partial(std::string_view sql, const postgres::Plan& plan, const std::vector<postgres::RelationFacts>& relations) {
  for (const char* word : {"LIMIT", "FETCH", "TABLESAMPLE"}) {
    if (has_keyword(sql, word)) return format("{} in the query", word);
  }
  if (plan.partial) return plan.partial;
  for (const auto& relation : relations) {
    if (relation.kind == 'm') return format("the materialized view {} is as old as its last REFRESH", relation.roots);
  }
  return std::nullopt;
}

// The values that can be in the database at all. Sending others would be an error of the server.
std::vector<std::string_view> possible(std::span<const std::string> values, const Session& session) {
  std::vector<std::string_view> result;
  for (const std::string& value : values) {
    const bool has_nul = value.find('\0') != std::string::npos;
    if (!has_nul && (session.takes_any_bytes() || is_utf8(value))) result.emplace_back(value);
  }
  return result;
}

Error stopped(Session& session) {
  return {ErrorCode::cancelled, format("reading {} was stopped", session.connection().endpoint().text())};
}

}  // namespace

Result<std::string> PostgresSource::sql() const {
  if (!options_.query.empty()) {
    TRY(postgres::check_verb(options_.query));
    return options_.query;
  }
  TRY_ASSIGN(const std::string table, postgres::quoted_table(options_.table));
  return format("SELECT source.{} FROM {} AS source", quoted_name(options_.column), table);
}

// The server keeps its time-outs itself; one that hangs does not.
Wait PostgresSource::asking(std::stop_token stop) const { return {std::move(stop), options_.lock_timeout + 3 * options_.connect_timeout}; }
Wait PostgresSource::streaming(std::stop_token stop) const {
  if (options_.statement_timeout.count() == 0) return {std::move(stop)};
  return {std::move(stop), options_.statement_timeout + options_.lock_timeout + 3 * options_.connect_timeout};
}

Result<Session> PostgresSource::open(const std::string& url, const std::stop_token& stop) const {
  postgres::SessionOptions session;
  session.connect = {url, std::nullopt, options_.connect_timeout};
  if (options_.password) {
    TRY_ASSIGN(session.connect.password, options_.password());
  }
  session.statement_timeout = options_.statement_timeout;
  session.lock_timeout = options_.lock_timeout;
  return Session::open(session, stop);
}

Result<void> PostgresSource::ping(const std::stop_token& stop) {
  std::vector<std::string> urls = {options_.url};
  if (options_.primary_url) urls.push_back(*options_.primary_url);
  for (const std::string& url : urls) {
    postgres::ConnectOptions options{.url = url, .password = std::nullopt, .at_most = kPingTimeout};
    if (options_.password) {
      TRY_ASSIGN(options.password, options_.password());
    }
    TRY_ASSIGN(postgres::Connection connection, postgres::Connection::connect(options, stop));
    TRY(connection.query("SELECT 1", {}, Wait{stop, kPingTimeout}));
  }
  return {};
}

// A new connection to the primary, whose role is proved.
Result<Session> PostgresSource::open_primary(const std::stop_token& stop) const {
  TRY_ASSIGN(Session session, open(options_.primary_url.value_or(options_.url), stop));
  TRY_ASSIGN(const ServerFacts facts, session.facts(asking(stop)));
  if (facts.role == Role::primary) return session;
  const std::string name = session.connection().endpoint().text();
  if (options_.primary_url) {
    return Error{ErrorCode::failed_precondition, format("{}, the primary_url, is a replica", name), "give the url of the server that is written to"};
  }
  return Error{ErrorCode::failed_precondition,
               format("{} is a replica: what it has not replayed yet would count as absent, and it cannot say who is writing", name),
               "add primary_url: to this database; rows are then still read from the replica"};
}

// The connection that is kept, opened anew where it broke.
Result<Session*> PostgresSource::primary(const std::stop_token& stop) {
  if (primary_ && primary_->connection().is_broken()) primary_.reset();
  if (!primary_) {
    TRY_ASSIGN(primary_, open_primary(stop));
  }
  return &*primary_;
}

// A connection to read from, outside any transaction. That it belongs to the primary is proved, a replica's freshness if asked for.
Result<Session> PostgresSource::open_reader(Freshness freshness, const std::stop_token& stop) {
  const Wait wait = asking(stop);
  TRY_ASSIGN(Session session, open(options_.url, stop));
  TRY_ASSIGN(const ServerFacts facts, session.facts(wait));
  TRY_ASSIGN(Session* const writer, primary(stop));
  TRY_ASSIGN(const ServerFacts writer_facts, writer->facts(wait));
  TRY(postgres::check_follows(facts, writer_facts, session.connection().endpoint(), writer->connection().endpoint()));
  // Beside a named primary only a replica may answer: a clone of the disk has the same identity.
  if (facts.role == Role::primary && options_.primary_url) return open_primary(stop);
  if (facts.role == Role::replica && freshness == Freshness::replayed) TRY(wait_for_replay(session, *writer, stop));
  return session;
}

// Until the replica has what the primary has logged by now. The transaction id makes the primary log one record more and flush it:
// otherwise the end of its log could stay in memory for as long as nobody commits.
Result<void> PostgresSource::wait_for_replay(Session& replica, Session& primary, const std::stop_token& stop) {
  const Wait wait = asking(stop);
  TRY(primary.connection().execute("BEGIN READ ONLY", wait));
  TRY_ASSIGN(const auto now, primary.connection().query("SELECT pg_current_wal_insert_lsn(), pg_current_xact_id()", {}, wait));
  TRY(primary.connection().commit(wait));
  const Parameter parameters[] = {postgres::text_parameter(now.at(0).at(0).value_or(""))};
  const BootTime deadline = clock_.boot_now() + kReplayPatience;
  for (;;) {
    TRY_ASSIGN(const auto there, replica.connection().query("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", parameters, wait));
    if (there.at(0).at(0) == "t") return {};
    if (stop.stop_requested()) return stopped(replica);
    if (clock_.boot_now() >= deadline) {
      return Error{ErrorCode::unavailable,
                   format("{} has not replayed in {} s what the primary had written before", replica.connection().endpoint().text(), kReplayPatience.count()),
                   "check the replication, or read from the primary"};
    }
    clock_.sleep_for(kPollInterval, stop);
  }
}

// In the session's snapshot, which begins here at the latest.
Result<PostgresSource::Proof> PostgresSource::prove(Session& session, const Wait& wait) {
  TRY_ASSIGN(const std::string query, sql());
  TRY_ASSIGN(const ServerFacts facts, session.facts(wait));
  TRY_ASSIGN(const auto description, session.connection().describe(query, {}, wait));
  if (description.parameters > 0) {
    return Error{ErrorCode::invalid_argument, "the query has a parameter, for which there is no value", "write the value into the query"};
  }
  Proof proof;
  TRY_ASSIGN(proof.shape, postgres::shape_of(session.connection(), description, options_.json, wait));
  TRY_ASSIGN(const postgres::Plan plan, postgres::explain(session.connection(), query, {}, "", wait));
  TRY_ASSIGN(const auto relations, postgres::relation_facts(session.connection(), plan.relations(), wait));
  proof.identity = {postgres::identity_text(facts), postgres::joined_roots(relations), facts.position};
  proof.partial = why_partial(query, plan, relations);
  proof.role = facts.role;
  proof.relations = relations;
  return proof;
}

Result<SourceIdentity> PostgresSource::identity() {
  TRY(sql());
  const Wait wait = asking(options_.stop);
  TRY_ASSIGN(Session session, open_reader(Freshness::any, options_.stop));
  TRY(session.begin(wait));
  TRY_ASSIGN(Proof proof, prove(session, wait));
  return std::move(proof.identity);
}

Result<ReadSummary> PostgresSource::read(RowSink& sink, std::stop_token stop) {
  const Wait wait = asking(stop);
  primary_.reset();  // it may have died while it waited since the last call
  TRY_ASSIGN(const std::string query, sql());
  TRY_ASSIGN(Session session, open_reader(Freshness::replayed, stop));
  TRY(session.begin(wait));
  TRY_ASSIGN(const Proof proof, prove(session, wait));
  ReadSummary summary;
  summary.identity = proof.identity;
  summary.partial = proof.partial;
  // After the snapshot, on another connection: whoever was writing when it was taken has an id below the mark.
  TRY_ASSIGN(Session* const writer, primary(stop));
  TRY_ASSIGN(summary.writers, postgres::mark_writers(writer->connection(), wait));

  const std::size_t readers = options_.readers.value_or(kReaders);
  const std::vector<postgres::BlockRange> whole(1);
  std::vector<postgres::BlockRange> ranges = whole;
  if (options_.query.empty()) {
    TRY_ASSIGN(const std::string table, postgres::quoted_table(options_.table));
    using Buffers = postgres::SplitRequest::SharedBuffers;
    const postgres::SplitRequest request{table, query, readers, options_.small_table, options_.readers ? Buffers::use : Buffers::spare};
    TRY_ASSIGN(ranges, postgres::ranges_of(session.connection(), request, proof.relations, wait));
  }
  TRY_ASSIGN(auto others, join(session, proof, std::min(readers, ranges.size()), stop));
  if (others.empty()) ranges = whole;

  SharedSink shared(sink);
  std::atomic<std::uint64_t> rows{0};
  TRY(read_in_parallel(others.size() + 1, ranges.size(), stop, [&](std::size_t reader, std::size_t part, const std::stop_token& stopped) -> Result<void> {
    Session& one = reader == 0 ? session : others[reader - 1];
    TRY_ASSIGN(const std::uint64_t part_rows, postgres::read_rows(one.connection(), query + postgres::condition_of(ranges[part]), proof.shape,
                                                                  options_.json, shared, streaming(stopped)));
    rows += part_rows;
    return {};
  }));
  for (Session& other : others) TRY(other.connection().commit(wait));
  TRY(session.connection().commit(wait));  // the last one: it kept the tables from being written anew
  summary.rows = rows;
  return summary;
}

// More sessions in the snapshot of `first`, each of which has proved the same: with it up to `readers`.
Result<std::vector<Session>> PostgresSource::join(Session& first, const Proof& proof, std::size_t readers, const std::stop_token& stop) {
  std::vector<Session> others;
  if (readers < 2) return others;
  const Wait wait = asking(stop);
  TRY_ASSIGN(const postgres::SharedSnapshot shared, first.share(wait));
  while (others.size() + 1 < readers) {
    auto other = first.another(stop);
    if (!other && other.error().code == ErrorCode::throttled) break;  // fewer connections serve as well
    if (!other) return other.error();
    TRY(other->begin(shared, wait));
    TRY_ASSIGN(const Proof its, prove(*other, wait));
    if (its.role != proof.role || its.identity.database != proof.identity.database || its.identity.relations != proof.identity.relations) {
      return Error{ErrorCode::failed_precondition, format("{}: two connections met different databases", other->connection().endpoint().text()),
                   "give the url of one server; right after a failover, run the command again"};
    }
    others.push_back(*std::move(other));
  }
  return others;
}

Result<bool> PostgresSource::can_look_up(Session& session, const postgres::RowShape& shape) const {
  if (options_.json || !session.takes_utf8()) return false;
  if (!options_.recheck) return shape.is_comparable();
  TRY(postgres::check_verb(*options_.recheck));
  return true;
}

// The kept connection in a new snapshot. One that broke since the last call shows here, and is replaced once.
Result<Session*> PostgresSource::primary_snapshot(const std::stop_token& stop) {
  const bool was_open = primary_.has_value();
  TRY_ASSIGN(Session* session, primary(stop));
  auto begun = session->begin(asking(stop));
  if (!begun && was_open && session->connection().is_broken()) {
    TRY_ASSIGN(session, primary(stop));
    begun = session->begin(asking(stop));
  }
  TRY(begun);
  TRY_ASSIGN(const ServerFacts facts, session->facts(asking(stop)));
  if (facts.role == Role::primary) return session;
  return Error{ErrorCode::failed_precondition, format("{} is a replica now", session->connection().endpoint().text()), "run the command again"};
}

Result<LookupCost> PostgresSource::lookup_cost() {
  TRY_ASSIGN(Session* const session, primary_snapshot(options_.stop));
  auto result = cost(*session, asking(options_.stop));
  primary_.reset();  // with its settings and its transaction
  return result;
}

// Asks whether indexes lead from the values to the rows: what would read whole tables is switched off as far as possible, as it wins on
// tables of middling size. The lookup itself goes whatever way the server finds best.
Result<LookupCost> PostgresSource::cost(Session& session, const Wait& wait) {
  TRY_ASSIGN(const Proof proof, prove(session, wait));
  TRY_ASSIGN(const bool possible, can_look_up(session, proof.shape));
  if (!possible) return LookupCost::unsupported;
  TRY_ASSIGN(const std::string query, sql());
  const std::string lookup = options_.recheck ? *options_.recheck : postgres::lookup_sql(query);
  const std::string marker = format("heimdall-storage-{:016x}", random_u64());
  std::vector<std::string> values;
  for (std::size_t i = 0; i < kTypicalBatch; ++i) values.push_back(format("{}-{}", marker, i));
  const std::vector<std::string_view> views(values.begin(), values.end());
  const Parameter parameters[] = {postgres::text_array(views)};

  TRY_ASSIGN(const auto description, session.connection().describe(lookup, parameters, wait));
  if (description.parameters != 1 || !has_keyword(lookup, "$1")) {
    return Error{ErrorCode::invalid_argument, "the recheck query does not have one parameter, $1",
                 "write it as: SELECT column FROM table WHERE column = ANY($1)"};
  }
  TRY(session.connection().execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off", wait));
  TRY_ASSIGN(const postgres::Plan plan, postgres::explain(session.connection(), lookup, parameters, marker, wait));
  TRY_ASSIGN(const auto relations, postgres::relation_facts(session.connection(), plan.relations(), wait));
  if (options_.recheck) {
    TRY(postgres::shape_of(session.connection(), description, std::nullopt, wait));
    if (const auto partial = why_partial(lookup, plan, relations)) {
      return Error{ErrorCode::invalid_argument, format("the recheck query cannot find all rows: {}", *partial), "take it out of the query"};
    }
  }
  return postgres::is_cheap(plan, relations) ? LookupCost::indexed : LookupCost::full_scan;
}

Result<ReadSummary> PostgresSource::lookup(std::span<const std::string> values, RowSink& sink, std::stop_token stop) {
  auto summary = look_up(values, sink, stop);
  if (!summary) primary_.reset();  // whatever state its transaction is in
  return summary;
}

Result<ReadSummary> PostgresSource::look_up(std::span<const std::string> values, RowSink& sink, const std::stop_token& stop) {
  const Wait wait = asking(stop);
  TRY_ASSIGN(Session* const session, primary_snapshot(stop));
  TRY_ASSIGN(Proof proof, prove(*session, wait));
  TRY_ASSIGN(const bool can, can_look_up(*session, proof.shape));
  if (!can) {
    return Error{ErrorCode::failed_precondition, format("single values cannot be looked up in {}", session->connection().endpoint().text()),
                 "read the source as a whole"};
  }
  TRY_ASSIGN(const std::string query, sql());
  const std::string lookup = options_.recheck ? *options_.recheck : postgres::lookup_sql(query);
  postgres::RowShape shape = proof.shape;
  if (options_.recheck) {
    const Parameter none[] = {postgres::text_array({})};
    TRY_ASSIGN(const auto description, session->connection().describe(lookup, none, wait));
    TRY_ASSIGN(shape, postgres::shape_of(session->connection(), description, std::nullopt, wait));
    TRY_ASSIGN(const postgres::Plan plan, postgres::explain(session->connection(), lookup, none, "", wait));
    TRY_ASSIGN(const auto relations, postgres::relation_facts(session->connection(), plan.relations(), wait));
    if (!proof.partial) proof.partial = why_partial(lookup, plan, relations);
  }

  const std::unordered_set<std::string_view> wanted(values.begin(), values.end());
  RowBatch batch(sink);
  postgres::RowReader rows(shape, options_.json, batch);
  const auto take = [&](const postgres::Row& row) -> Result<void> {
    // A collation that ignores case finds more than was asked for. What a recheck query finds is its own affair.
    if (!options_.recheck && !wanted.contains(row[0].value_or(""))) return {};
    return rows.take(row);
  };
  const auto possible_values = possible(values, *session);
  for (std::size_t done = 0; done < possible_values.size(); done += kValuesPerQuery) {
    const std::span<const std::string_view> all(possible_values);
    const Parameter parameters[] = {postgres::text_array(all.subspan(done, std::min(kValuesPerQuery, all.size() - done)))};
    TRY(session->connection().stream(lookup, parameters, take, streaming(stop)));
  }
  TRY(session->connection().commit(wait));
  TRY(batch.flush());
  ReadSummary summary;
  summary.rows = batch.rows();
  summary.identity = std::move(proof.identity);
  summary.partial = std::move(proof.partial);
  return summary;
}

Result<void> PostgresSource::wait_for_writers(const WriterMark& mark, std::chrono::milliseconds patience, std::stop_token stop) {
  if (mark.text.empty()) return {};
  primary_.reset();
  TRY_ASSIGN(Session* const session, primary(stop));
  return postgres::wait_for_mark(session->connection(), mark, patience, clock_, stop);
}

Result<std::unique_ptr<SourceHold>> PostgresSource::hold(std::string_view name) {
  TRY_ASSIGN(Session session, open_primary(options_.stop));
  return postgres::take_hold(std::move(session), name, options_.stop);
}

}  // namespace heimdall
