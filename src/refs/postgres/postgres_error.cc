#include "refs/postgres/postgres_error.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "base/format.h"
#include "base/text.h"

namespace heimdall::postgres {

namespace {

constexpr std::string_view kNotBelieved = "nothing that was read so far is believed; run the command again";

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// What stands at the `position`-th character of a statement, or nothing.
std::string place_in(std::string_view statement, std::string_view position) {
  std::size_t character = 0;
  std::from_chars(position.data(), position.data() + position.size(), character);
  if (character == 0) return "";
  std::size_t at = 0;
  for (; at < statement.size(); ++at) {
    const bool starts = (static_cast<unsigned char>(statement[at]) & 0xC0U) != 0x80U;
    if (starts && --character == 0) break;
  }
  std::string_view rest = statement.substr(at);
  rest = rest.substr(0, rest.find('\n'));
  return rest.empty() ? "" : format(", at \"{}\"", elide_middle(printable(rest), 60));
}

// "permission denied for table x": the last word is the thing, the one before it its kind, if the server speaks English.
std::string grant_for(std::string_view message, const std::string& user) {
  for (const auto& [kind, right] : {std::pair{"schema", "USAGE ON SCHEMA"}, std::pair{"table", "SELECT ON"},
                                    std::pair{"view", "SELECT ON"}, std::pair{"materialized view", "SELECT ON"},
                                    std::pair{"function", "EXECUTE ON FUNCTION"}}) {
    const std::string start = format("permission denied for {} ", kind);
    if (message.starts_with(start)) {
      return format("as its owner: GRANT {} {} TO {}", right, message.substr(start.size()), user);
    }
  }
  return format("as the owner: GRANT USAGE ON SCHEMA ... TO {0}; GRANT SELECT ON ... TO {0}", user);
}

// Whether one of its words is that of a statement that writes; it may stand in a literal.
bool seems_to_write(std::string_view statement) {
  constexpr std::array<std::string_view, 4> kWords = {"insert", "update", "delete", "merge"};
  const auto is_letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  std::string word;
  const auto is_writing = [&] { return std::find(kWords.begin(), kWords.end(), word) != kWords.end(); };
  for (const char c : statement) {
    if (is_letter(c)) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      continue;
    }
    if (is_writing()) return true;
    word.clear();
  }
  return is_writing();
}

Error denied(const ServerReport& report, const Endpoint& endpoint, std::string_view statement, std::string message) {
  if (report.source_file == "rls.c") {
    return {ErrorCode::permission_denied, message + ": rows that this role may not see would count as absent",
            format("read with a role that sees every row: ALTER ROLE {} BYPASSRLS, or the owner of the table", endpoint.user)};
  }
  std::string hint = grant_for(report.message, endpoint.user);
  // More rights would be the wrong fix.
  if (seems_to_write(statement)) hint = "a query here may only read: take INSERT, UPDATE, DELETE and MERGE out of it; where it has none, " + hint;
  return {ErrorCode::permission_denied, std::move(message), std::move(hint)};
}

std::string hint_for_unavailable(std::string_view state) {
  if (state == "57014" || state == "25P03" || state == "25P04") return format("a time-out or an administrator stopped the statement; {}", kNotBelieved);
  if (state == "40001") {
    return format("on a replica: set hot_standby_feedback = on, or a longer max_standby_streaming_delay; {}", kNotBelieved);
  }
  if (state == "55P03") return format("a lock was not given in time, somebody changes the table; {}", kNotBelieved);
  return std::string(kNotBelieved);
}

// The five characters in "FATAL:  28P01: password ...", whatever the word for FATAL is; the last ones, as each host has its line.
std::string sqlstate_in(std::string_view message) {
  std::string state;
  for (std::size_t at = message.find(":  "); at != std::string_view::npos; at = message.find(":  ", at + 1)) {
    const std::string_view rest = message.substr(at + 3);
    const bool has_form = rest.size() > 6 && rest[5] == ':' && std::all_of(rest.begin(), rest.begin() + 5, [](char c) {
                            return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
                          });
    if (has_form) state = rest.substr(0, 5);
  }
  return state;
}

// In one line, without the source code's place that the verbose form adds.
std::string tidy(std::string_view message) {
  std::string line;
  while (!message.empty()) {
    const std::string_view part = message.substr(0, message.find('\n'));
    message.remove_prefix(std::min(part.size() + 1, message.size()));
    if (part.empty() || contains(part, "LOCATION:")) continue;
    line += (line.empty() ? "" : "; ") + std::string(part.substr(part.find_first_not_of(" \t")));
  }
  return line;
}

}  // namespace

std::string Endpoint::text() const {
  return format("PostgreSQL '{}' at {}", printable(database), host.starts_with('/') ? host : format("{}:{}", host, port));
}

Error to_error(const ServerReport& report, const Endpoint& endpoint, std::string_view statement) {
  const std::string_view state = report.sqlstate;
  const std::string_view group = state.substr(0, 2);
  std::string message = format("{}: {}{}", endpoint.text(), report.message, place_in(statement, report.position));
  if (!report.detail.empty()) message += format(" ({})", report.detail);
  if (state == "42501") return denied(report, endpoint, statement, std::move(message));
  if (group == "28") {
    return {ErrorCode::permission_denied, std::move(message), "check the user, the password (password_env, password_file) and the server's pg_hba.conf"};
  }
  if (state == "3D000") {
    return {ErrorCode::not_found, std::move(message), "check the database's name in the url of this database"};
  }
  static constexpr std::array kUnavailable = {"08", "40", "53", "55", "57", "58"};
  if (std::ranges::find(kUnavailable, group) != kUnavailable.end()) {
    return {ErrorCode::unavailable, std::move(message), hint_for_unavailable(state)};
  }
  if (state == "22021" || state == "22P05") {
    return {ErrorCode::corrupt, std::move(message), "a value does not fit the encoding of the database: repair or leave out its row"};
  }
  if (state == "XX001" || state == "XX002") {
    return {ErrorCode::corrupt, std::move(message), "the files of the database are damaged: delete nothing before they are repaired"};
  }
  if (group == "XX") return {ErrorCode::internal, std::move(message), "look at the server's log"};
  if (state == "25006") {
    return {ErrorCode::invalid_argument, std::move(message), "a reference is one query that only reads: no FOR UPDATE, INTO, INSERT or DELETE"};
  }
  return {ErrorCode::invalid_argument, std::move(message),
          report.hint.empty() ? "check this reference's query, table and column, and the database's url" : report.hint};
}

Error to_connect_error(std::string message, const Endpoint& endpoint, const std::vector<std::string>& secrets) {
  message = tidy(without_secrets(std::move(message), secrets));
  const std::string state = sqlstate_in(message);
  const std::string_view group = std::string_view(state).substr(0, 2);
  Error error{ErrorCode::unavailable, format("cannot connect to {}: {}", endpoint.text(), message),
              "check that the server runs and can be reached from here"};
  const auto is = [&](ErrorCode code, std::string hint) {
    error.code = code;
    error.hint = std::move(hint);
  };
  if (group == "28" || contains(message, "no password supplied") || contains(message, "authentication")) {
    is(ErrorCode::permission_denied, "check the user, the password (password_env, password_file, ~/.pgpass) and the server's pg_hba.conf");
  } else if (state == "3D000") {
    is(ErrorCode::not_found, "check the database's name in the url of this database");
  } else if (state == "42501") {
    is(ErrorCode::permission_denied, format("as the owner: GRANT CONNECT ON DATABASE {} TO {}", endpoint.database, endpoint.user));
  } else if (state.empty() && (contains(message, "certificate") || contains(message, "SSL error") ||
                               contains(message, "SSL was required"))) {
    is(ErrorCode::permission_denied, "check sslmode, sslrootcert, sslcert and sslkey in the url of this database");
  } else if (state.empty() && (message.starts_with("invalid ") || message.starts_with("definition of service") ||
                               contains(message, "service file"))) {
    is(ErrorCode::invalid_argument, "check the url of this database");
  } else if (group == "53") {
    if (state == "53300") error.code = ErrorCode::throttled;
    error.hint = "the server is out of connections or memory; try again later";
  }
  return error;
}

std::string without_quoted(std::string_view message) {
  std::string result;
  bool inside = false;
  for (const char c : message) {
    if (c == '"') {
      if (!inside) result += "\"...\"";
      inside = !inside;
    } else if (!inside && c != '\n') {
      result += c;
    }
  }
  return result;
}

std::string without_secrets(std::string message, const std::vector<std::string>& secrets) {
  for (const std::string& secret : secrets) {
    if (secret.empty()) continue;
    for (std::size_t at = message.find(secret); at != std::string::npos; at = message.find(secret, at + 3)) {
      message.replace(at, secret.size(), "...");
    }
  }
  return message;
}

}  // namespace heimdall::postgres
