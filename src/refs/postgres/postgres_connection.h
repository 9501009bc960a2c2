#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "refs/postgres/postgres_error.h"

struct pg_conn;
struct pg_result;

namespace heimdall::postgres {

// One server, as a connection found it behind a URL that may name several.
struct Place {
  std::string host, address, port;
};

struct ConnectOptions {
  std::string url;                      // postgresql://... or "key=value ..."; all rules of libpq hold
  std::optional<std::string> password;  // in place of the URL's, .pgpass and the like
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(10);  // where neither URL, service nor environment say
  std::optional<Place> place = std::nullopt;                             // there, wherever the URL leads
  std::optional<std::chrono::milliseconds> at_most = std::nullopt;       // whatever they say
};

// One value of a statement's $n.
struct Parameter {
  enum class Format { text, binary };
  std::uint32_t type = 0;  // 0: the server infers it
  std::string bytes;
  Format format = Format::text;
};

// One row of a result. Valid during the call that hands it over.
class Row {
 public:
  Row(const pg_result* result, int row) : result_(result), row_(row) {}
  // nullopt is NULL.
  std::optional<std::string_view> operator[](int column) const;

 private:
  const pg_result* result_;
  int row_;
};

using Table = std::vector<std::vector<std::optional<std::string>>>;

struct Column {
  std::string name;
  std::uint32_t type = 0;  // a domain counts as its base type
};
struct Description {
  std::vector<Column> columns;
  int parameters = 0;
};

// How long to wait for an answer, or for the server to take what is sent.
struct Wait {
  std::stop_token stop = {};
  std::optional<std::chrono::milliseconds> patience = std::nullopt;
};

// One connection. Not thread-safe. Errors are those of to_error(); beside them: unavailable, the connection broke or `patience` is
// over; cancelled, a stop was requested. After these, and after an error of a callback, the connection is closed: is_broken().
// That is all that ends a statement on the server: to ask it to cancel would mean to wait for it, for ever if it hangs.
class Connection {
 public:
  // Errors of to_connect_error(); failed_precondition, the server is too old. Nothing that is done with it blocks longer than `Wait` says.
  static Result<Connection> connect(const ConnectOptions& options, const std::stop_token& stop);

  // One or more statements without parameters and without results that matter.
  Result<void> execute(const std::string& sql, const Wait& wait = {});
  // One statement; all its rows, for small results.
  Result<Table> query(const std::string& sql, std::span<const Parameter> parameters = {}, const Wait& wait = {});
  // Has the server parse one statement, and says what it would yield.
  Result<Description> describe(const std::string& sql, std::span<const Parameter> parameters = {}, const Wait& wait = {});
  // One statement; its rows one by one, in bounded memory. Succeeds only after the server said that this was the last one.
  Result<void> stream(const std::string& sql, std::span<const Parameter> parameters,
                      const std::function<Result<void>(const Row&)>& take, const Wait& wait = {});
  // One COPY ... TO STDOUT (FORMAT binary); what it sends, piece by piece, in bounded memory. Succeeds only after the server said that this was
  // the end, with the number of rows it says it has sent.
  Result<std::uint64_t> copy_out(const std::string& sql, const std::function<Result<void>(std::string_view)>& take, const Wait& wait = {});
  // COMMIT, and that it was one.
  Result<void> commit(const Wait& wait = {});

  bool is_broken() const;
  // Whether something came that was not read yet, be it the end of the connection. Asks nobody.
  bool has_input() const;
  const Endpoint& endpoint() const { return endpoint_; }
  Place place() const;
  int server_version() const;         // 150020
  std::string server_encoding() const;
  int backend_pid() const;

 private:
  struct CloseConnection {
    void operator()(pg_conn* connection) const;
  };
  struct ClearResult {
    void operator()(pg_result* result) const;
  };
  using ConnectionPtr = std::unique_ptr<pg_conn, CloseConnection>;
  using ResultPtr = std::unique_ptr<pg_result, ClearResult>;

  explicit Connection(ConnectionPtr connection);
  static Result<ConnectionPtr> attempt(const ConnectOptions& options, const std::stop_token& stop);
  Result<void> send(const std::string& sql, std::span<const Parameter> parameters, const Wait& wait);
  Result<void> flush(const Wait& wait);
  Result<void> receive(const Wait& wait, std::chrono::steady_clock::time_point since, short events);
  Result<ResultPtr> next(const Wait& wait);
  Result<ResultPtr> last(const Wait& wait, const std::string& sql);
  Error error_of(const pg_result* result, const std::string& sql);
  Error lost();
  Error stopped() const;

  ConnectionPtr connection_;
  Endpoint endpoint_;
};

}  // namespace heimdall::postgres
