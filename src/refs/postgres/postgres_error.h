#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace heimdall::postgres {

// Where a connection leads, for messages. Holds no secret.
struct Endpoint {
  std::string host;  // a name, an address or the directory of a socket
  std::string port;
  std::string database;
  std::string user;
  std::string text() const;  // "PostgreSQL 'app' at db.example:5432"
};

// An error report of the server, in its fields
// (https://www.postgresql.org/docs/current/protocol-error-fields.html).
struct ServerReport {
  std::string sqlstate;
  std::string message;
  std::string detail;
  std::string hint;
  std::string position;     // of the character in `statement`, from 1; empty where the report has none
  std::string source_file;  // of the server's own code; unlike the message it is in no language
};

// What a report means for us. By its SQLSTATE alone, as messages may be in any language:
//
//   28, 42501                          permission_denied, with the GRANT or the reason
//   3D000                              not_found: there is no such database
//   08, 40, 53, 55, 57, 58             unavailable: nothing of what was read before it is believed
//   22021, 22P05, XX001, XX002         corrupt: a value is not what its encoding says, or the files are damaged
//   XX                                 internal
//   25006 and the rest                 invalid_argument: the query is wrong, with the place
//
// `statement` is the SQL as the user wrote it, or empty.
Error to_error(const ServerReport& report, const Endpoint& endpoint, std::string_view statement);

// What a failed attempt to connect means. `message` is that of libpq in verbose form, which holds the SQLSTATE if the server
// sent one: throttled, it has no connection left. `secrets` are replaced in it wherever they stand.
Error to_connect_error(std::string message, const Endpoint& endpoint, const std::vector<std::string>& secrets);

// `message` without what stands between double quotes: of a connection string that cannot be parsed libpq shows a part,
// which may be the password.
std::string without_quoted(std::string_view message);

// `message` with each of `secrets` replaced.
std::string without_secrets(std::string message, const std::vector<std::string>& secrets);

}  // namespace heimdall::postgres
