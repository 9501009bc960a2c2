#include "refs/postgres/postgres_connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "base/format.h"

namespace heimdall::postgres {

namespace {

using std::chrono::milliseconds;
// Time-outs of sockets are the machine's business, not that of the product's Clock: a test that stops the clock must not
// wait for ever.
using SocketTime = std::chrono::steady_clock;

constexpr int kTickMs = 100;  // how long a stop can go unnoticed
constexpr int kOldestVersion = 130000;  // xid8 and pg_current_xact_id()

// Whether the socket is ready within a tick. Its errors count as that: libpq reports them.
bool is_ready(int socket, short events) {
  pollfd entry{socket, events, 0};
  return poll(&entry, 1, kTickMs) > 0;
}

// Whether it is so now.
bool is_ready_now(int socket, short events) {
  pollfd entry{socket, events, 0};
  return poll(&entry, 1, 0) > 0;
}

struct FreeMemory {
  void operator()(char* memory) const { PQfreemem(memory); }
};

std::string text_of(const char* text) { return text == nullptr ? "" : text; }

Endpoint endpoint_of(const PGconn* connection) {
  Endpoint endpoint{text_of(PQhost(connection)), text_of(PQport(connection)), text_of(PQdb(connection)), text_of(PQuser(connection))};
  if (endpoint.host.empty()) endpoint.host = "localhost";
  return endpoint;
}

// One option of an open or failed connection, or of a connection string.
std::string option_of(PQconninfoOption* options, std::string_view keyword) {
  std::string value;
  for (const PQconninfoOption* o = options; o != nullptr && o->keyword != nullptr; ++o) {
    if (o->keyword == keyword) value = text_of(o->val);
  }
  return value;
}
std::string option_of(PGconn* connection, std::string_view keyword) {
  PQconninfoOption* options = PQconninfo(connection);
  std::string value = option_of(options, keyword);
  PQconninfoFree(options);
  return value;
}

// Also proves that libpq can read it. What must not be shown: the password as it is written and as it is meant.
Result<std::vector<std::string>> secrets_of(const ConnectOptions& options) {
  char* why = nullptr;
  PQconninfoOption* parsed = PQconninfoParse(options.url.c_str(), &why);
  const std::string reason = text_of(why);
  PQfreemem(why);
  if (parsed == nullptr) {
    return Error{ErrorCode::invalid_argument, format("the url of a PostgreSQL database cannot be read: {}", without_quoted(reason)),
                 "write postgresql://user@host/database, with special characters percent-encoded"};
  }
  std::vector<std::string> secrets = {option_of(parsed, "password"), option_of(parsed, "sslpassword")};
  PQconninfoFree(parsed);
  if (options.password) secrets.push_back(*options.password);
  const std::size_t scheme = options.url.find("://"), at = options.url.rfind('@');
  if (scheme == std::string::npos || at == std::string::npos) return secrets;
  const std::size_t colon = options.url.find(':', scheme + 3);
  if (colon < at) secrets.push_back(options.url.substr(colon + 1, at - colon - 1));
  return secrets;
}

// The parameters in the form of libpq. What stands before `dbname` is a default that the URL overrides; what stands behind it wins.
struct Parameters {
  std::vector<const char*> keywords, values;
  void add(const char* keyword, const char* value) {
    keywords.push_back(keyword);
    values.push_back(value);
  }
};
Parameters parameters_of(const ConnectOptions& options) {
  Parameters all;
  all.add("fallback_application_name", "heimdall-storage");
  all.add("keepalives_idle", "30");
  all.add("keepalives_interval", "10");
  all.add("keepalives_count", "3");
  all.add("tcp_user_timeout", "60000");
  all.add("dbname", options.url.c_str());
  if (options.password) all.add("password", options.password->c_str());
  if (options.place) {
    all.add("host", options.place->host.c_str());
    all.add("hostaddr", options.place->address.c_str());
    all.add("port", options.place->port.c_str());
  }
  return all;
}

// The URL's, the service's or the environment's connect_timeout, as libpq takes it; else ours.
milliseconds connect_timeout_of(PGconn* connection, milliseconds otherwise) {
  const std::string text = option_of(connection, "connect_timeout");
  int seconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return seconds > 0 ? std::chrono::seconds(std::max(seconds, 2)) : otherwise;
}

}  // namespace

std::optional<std::string_view> Row::operator[](int column) const {
  if (PQgetisnull(result_, row_, column) != 0) return std::nullopt;
  return std::string_view(PQgetvalue(result_, row_, column), static_cast<std::size_t>(PQgetlength(result_, row_, column)));
}

void Connection::CloseConnection::operator()(PGconn* connection) const { PQfinish(connection); }
void Connection::ClearResult::operator()(PGresult* result) const { PQclear(result); }

Connection::Connection(ConnectionPtr connection) : connection_(std::move(connection)), endpoint_(endpoint_of(connection_.get())) {}

// Step by step, because only so libpq can be told beforehand to put SQLSTATEs into its messages; and a stop is seen. A server that
// takes the connection and then says nothing ends this attempt: to go on to the next of several hosts is left to libpq itself.
Result<Connection::ConnectionPtr> Connection::attempt(const ConnectOptions& options, const std::stop_token& stop) {
  Parameters parameters = parameters_of(options);
  parameters.add(nullptr, nullptr);
  ConnectionPtr connection(PQconnectStartParams(parameters.keywords.data(), parameters.values.data(), 1));
  if (connection == nullptr) throw std::bad_alloc();
  PGconn* const raw = connection.get();
  PQsetErrorVerbosity(raw, PQERRORS_VERBOSE);
  const milliseconds said = connect_timeout_of(raw, options.connect_timeout);
  const milliseconds timeout = std::min(said, options.at_most.value_or(said));
  const auto deadline = SocketTime::now() + timeout;
  PostgresPollingStatusType status = PQstatus(raw) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
    if (stop.stop_requested()) return Error{ErrorCode::cancelled, format("connecting to {} was stopped", endpoint_of(raw).text())};
    if (SocketTime::now() >= deadline) break;
    if (is_ready(PQsocket(raw), status == PGRES_POLLING_READING ? POLLIN : POLLOUT)) status = PQconnectPoll(raw);
  }
  if (status == PGRES_POLLING_OK || status == PGRES_POLLING_FAILED) return connection;

  if (option_of(raw, "host").find(',') == std::string::npos && option_of(raw, "hostaddr").find(',') == std::string::npos) {
    return Error{ErrorCode::unavailable, format("cannot connect to {}: no answer in {} ms", endpoint_of(raw).text(), timeout.count()),
                 "check that the server runs and can be reached from here"};
  }
  const std::string seconds = std::to_string(std::chrono::ceil<std::chrono::seconds>(timeout).count());
  parameters = parameters_of(options);
  parameters.add("connect_timeout", seconds.c_str());
  parameters.add(nullptr, nullptr);
  connection.reset(PQconnectdbParams(parameters.keywords.data(), parameters.values.data(), 1));
  if (connection == nullptr) throw std::bad_alloc();
  return connection;
}

Result<Connection> Connection::connect(const ConnectOptions& options, const std::stop_token& stop) {
  TRY_ASSIGN(const std::vector<std::string> secrets, secrets_of(options));
  TRY_ASSIGN(ConnectionPtr raw, attempt(options, stop));
  if (PQstatus(raw.get()) != CONNECTION_OK) {
    return to_connect_error(text_of(PQerrorMessage(raw.get())), endpoint_of(raw.get()), secrets);
  }
  PQsetErrorVerbosity(raw.get(), PQERRORS_DEFAULT);
  PQsetNoticeReceiver(raw.get(), [](void*, const PGresult*) {}, nullptr);  // by default libpq prints them
  PQsetnonblocking(raw.get(), 1);  // else a server that reads nothing would keep us in the middle of sending, and of closing
  Connection connection(std::move(raw));
  if (connection.server_version() < kOldestVersion) {
    return Error{ErrorCode::failed_precondition,
                 format("{} is version {}; 13 is the oldest one that can say which transactions are still writing",
                        connection.endpoint_.text(), connection.server_version() / 10000),
                 "upgrade the server"};
  }
  return connection;
}

bool Connection::has_input() const { return is_ready_now(PQsocket(connection_.get()), POLLIN); }

bool Connection::is_broken() const { return connection_ == nullptr || PQstatus(connection_.get()) != CONNECTION_OK; }
int Connection::server_version() const { return PQserverVersion(connection_.get()); }
std::string Connection::server_encoding() const { return text_of(PQparameterStatus(connection_.get(), "server_encoding")); }
int Connection::backend_pid() const { return PQbackendPID(connection_.get()); }
Place Connection::place() const {
  return {text_of(PQhost(connection_.get())), text_of(PQhostaddr(connection_.get())), text_of(PQport(connection_.get()))};
}

Error Connection::lost() {
  const std::string why = connection_ ? without_secrets(text_of(PQerrorMessage(connection_.get())), {text_of(PQpass(connection_.get()))}) : "";
  connection_.reset();
  return to_error({"08006", why.empty() ? "the connection is closed" : why.substr(0, why.find('\n')), "", "", "", ""}, endpoint_, "");
}

Error Connection::stopped() const { return {ErrorCode::cancelled, format("reading {} was stopped", endpoint_.text())}; }

Error Connection::error_of(const PGresult* result, const std::string& sql) {
  const auto field = [&](int code) { return text_of(PQresultErrorField(result, code)); };
  ServerReport report{field(PG_DIAG_SQLSTATE), field(PG_DIAG_MESSAGE_PRIMARY), field(PG_DIAG_MESSAGE_DETAIL), field(PG_DIAG_MESSAGE_HINT),
                      field(PG_DIAG_STATEMENT_POSITION), field(PG_DIAG_SOURCE_FILE)};
  if (report.sqlstate.empty()) {  // from libpq, not from the server
    if (is_broken()) return lost();
    report.sqlstate = "XX000";
    report.message = text_of(PQresultErrorMessage(result));
  }
  return to_error(report, endpoint_, sql);
}

// The next result of what was sent; nullptr behind the last one.
Result<Connection::ResultPtr> Connection::next(const Wait& wait) {
  if (!connection_) return lost();
  for (const auto since = SocketTime::now(); PQisBusy(connection_.get()) != 0;) TRY(receive(wait, since, POLLIN));
  return ResultPtr(PQgetResult(connection_.get()));
}

// Waits a tick for the socket, and takes in what came.
Result<void> Connection::receive(const Wait& wait, SocketTime::time_point since, short events) {
  if (wait.stop.stop_requested()) {
    connection_.reset();
    return stopped();
  }
  if (wait.patience && SocketTime::now() >= since + *wait.patience) {
    connection_.reset();
    return to_error({"08006", format("no answer in {} ms", wait.patience->count()), "", "", "", ""}, endpoint_, "");
  }
  is_ready(PQsocket(connection_.get()), events);
  if (PQconsumeInput(connection_.get()) == 0) return lost();
  return {};
}

// Until the socket has taken all that was sent. Input is taken in meanwhile: a server that cannot get rid of its own may read no further.
Result<void> Connection::flush(const Wait& wait) {
  const auto since = SocketTime::now();
  for (;;) {
    const int left = PQflush(connection_.get());
    if (left < 0) return lost();
    if (left == 0) return {};
    TRY(receive(wait, since, POLLIN | POLLOUT));
  }
}

// Takes all results, so that the connection is ready again; the first error of them counts, else the last result.
Result<Connection::ResultPtr> Connection::last(const Wait& wait, const std::string& sql) {
  ResultPtr kept;
  std::optional<Error> error;
  for (;;) {
    TRY_ASSIGN(ResultPtr result, next(wait));
    if (!result) break;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && !error) error = error_of(result.get(), sql);
    if (!connection_) break;
    kept = std::move(result);
  }
  if (error) return *std::move(error);
  if (!kept) return lost();
  return kept;
}

Result<void> Connection::send(const std::string& sql, std::span<const Parameter> parameters, const Wait& wait) {
  if (!connection_) return lost();
  std::vector<Oid> types;
  std::vector<const char*> values;
  std::vector<int> lengths, formats;
  for (const Parameter& p : parameters) {
    types.push_back(p.type);
    values.push_back(p.bytes.c_str());
    lengths.push_back(static_cast<int>(p.bytes.size()));
    formats.push_back(p.format == Parameter::Format::binary ? 1 : 0);
  }
  const int sent = PQsendQueryParams(connection_.get(), sql.c_str(), static_cast<int>(parameters.size()), types.data(), values.data(),
                                     lengths.data(), formats.data(), 0);
  if (sent == 0) return lost();
  return flush(wait);
}

Result<void> Connection::execute(const std::string& sql, const Wait& wait) {
  if (!connection_) return lost();
  if (PQsendQuery(connection_.get(), sql.c_str()) == 0) return lost();
  TRY(flush(wait));
  TRY(last(wait, sql));
  return {};
}

Result<Table> Connection::query(const std::string& sql, std::span<const Parameter> parameters, const Wait& wait) {
  TRY(send(sql, parameters, wait));
  TRY_ASSIGN(const ResultPtr result, last(wait, sql));
  Table table;
  for (int r = 0; r < PQntuples(result.get()); ++r) {
    auto& cells = table.emplace_back();
    for (int c = 0; c < PQnfields(result.get()); ++c) {
      const auto value = Row(result.get(), r)[c];
      cells.push_back(value ? std::optional(std::string(*value)) : std::nullopt);
    }
  }
  return table;
}

Result<Description> Connection::describe(const std::string& sql, std::span<const Parameter> parameters, const Wait& wait) {
  if (!connection_) return lost();
  std::vector<Oid> types;
  for (const Parameter& p : parameters) types.push_back(p.type);
  if (PQsendPrepare(connection_.get(), "", sql.c_str(), static_cast<int>(types.size()), types.data()) == 0) return lost();
  TRY(flush(wait));
  TRY(last(wait, sql));
  if (PQsendDescribePrepared(connection_.get(), "") == 0) return lost();
  TRY(flush(wait));
  TRY_ASSIGN(const ResultPtr result, last(wait, sql));
  Description description;
  description.parameters = PQnparams(result.get());
  for (int c = 0; c < PQnfields(result.get()); ++c) {
    description.columns.push_back({text_of(PQfname(result.get(), c)), PQftype(result.get(), c)});
  }
  return description;
}

Result<void> Connection::stream(const std::string& sql, std::span<const Parameter> parameters,
                                const std::function<Result<void>(const Row&)>& take, const Wait& wait) {
  TRY(send(sql, parameters, wait));
#ifdef LIBPQ_HAS_CHUNK_MODE
  constexpr ExecStatusType kRows = PGRES_TUPLES_CHUNK;
  const int bounded = PQsetChunkedRowsMode(connection_.get(), 256);
#else
  constexpr ExecStatusType kRows = PGRES_SINGLE_TUPLE;
  const int bounded = PQsetSingleRowMode(connection_.get());
#endif
  if (bounded == 0) return lost();
  bool complete = false;
  for (;;) {
    TRY_ASSIGN(const ResultPtr result, next(wait));
    if (!result) break;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_TUPLES_OK && PQntuples(result.get()) == 0) {
      complete = true;
      continue;
    }
    if (status != kRows || complete) {
      Error error = error_of(result.get(), sql);
      connection_.reset();
      return error;
    }
    Result<void> taken;
    if (wait.stop.stop_requested()) taken = stopped();
    for (int r = 0; taken && r < PQntuples(result.get()); ++r) taken = take(Row(result.get(), r));
    if (!taken) {
      connection_.reset();
      return taken;
    }
  }
  // Errors may come after any number of rows, and so may the end of the connection: only the server's own last word counts.
  if (!complete) return lost();
  return {};
}

Result<std::uint64_t> Connection::copy_out(const std::string& sql, const std::function<Result<void>(std::string_view)>& take, const Wait& wait) {
  const auto closed = [&](Error error) {
    connection_.reset();
    return error;
  };
  TRY(send(sql, {}, wait));
  TRY_ASSIGN(const ResultPtr begun, next(wait));
  if (!begun) return lost();
  if (PQresultStatus(begun.get()) != PGRES_COPY_OUT || PQbinaryTuples(begun.get()) == 0) return closed(error_of(begun.get(), sql));
  std::optional<SocketTime::time_point> waiting_since;
  for (;;) {
    char* raw = nullptr;
    const int size = PQgetCopyData(connection_.get(), &raw, 1);
    const std::unique_ptr<char, FreeMemory> piece(raw);
    if (size == -1) break;
    if (size < 0) return lost();
    if (size == 0) {
      if (!waiting_since) waiting_since = SocketTime::now();
      TRY(receive(wait, *waiting_since, POLLIN));
      continue;
    }
    waiting_since.reset();
    if (wait.stop.stop_requested()) return closed(stopped());
    if (auto taken = take({raw, static_cast<std::size_t>(size)}); !taken) return closed(std::move(taken).error());
  }
  // As with stream(): the end of the data is not yet the server's last word.
  auto end = last(wait, sql);
  if (!end) return closed(std::move(end).error());
  std::uint64_t rows = 0;
  const std::string told = text_of(PQcmdTuples(end->get()));
  const auto [behind, failed] = std::from_chars(told.data(), told.data() + told.size(), rows);
  if (PQresultStatus(end->get()) == PGRES_COMMAND_OK && failed == std::errc() && behind == told.data() + told.size()) return rows;
  return closed(error_of(end->get(), sql));
}

// A transaction that failed answers COMMIT with ROLLBACK, and no error.
Result<void> Connection::commit(const Wait& wait) {
  if (!connection_) return lost();
  if (PQsendQuery(connection_.get(), "COMMIT") == 0) return lost();
  TRY(flush(wait));
  TRY_ASSIGN(const ResultPtr result, last(wait, "COMMIT"));
  if (text_of(PQcmdStatus(result.get())) == "COMMIT") return {};
  return to_error({"40000", "the transaction was rolled back", "", "", "", ""}, endpoint_, "");
}

}  // namespace heimdall::postgres
