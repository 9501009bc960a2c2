#include "refs/postgres/postgres_error.h"

#include <gmock/gmock.h>

namespace heimdall::postgres {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const Endpoint kServer{"db.example", "5432", "app", "heimdall"};

Error of(std::string sqlstate, std::string message = "it says why") {
  return to_error({std::move(sqlstate), std::move(message), "", "", "", ""}, kServer, "");
}
Error connecting(std::string message, const std::vector<std::string>& secrets = {}) {
  return to_connect_error(std::move(message), kServer, secrets);
}

// Invariant 2: what may have been cut short is never taken for the whole.
TEST(PostgresError, the_sqlstate_says_what_to_do_next) {
  for (const char* state : {"57014", "57P01", "57P03", "08006", "40001", "40P01", "53300", "55P03", "58030"}) {
    EXPECT_EQ(of(state).code, ErrorCode::unavailable) << state;
    EXPECT_THAT(of(state).hint, HasSubstr("nothing that was read so far is believed")) << state;
  }
  for (const char* state : {"42P01", "42703", "42601", "25006", "0A000", "22012", "P0001"}) {
    EXPECT_EQ(of(state).code, ErrorCode::invalid_argument) << state;
  }
  EXPECT_EQ(of("28P01").code, ErrorCode::permission_denied);
  EXPECT_EQ(of("3D000").code, ErrorCode::not_found);
  EXPECT_EQ(of("22021").code, ErrorCode::corrupt);
  EXPECT_EQ(of("XX001").code, ErrorCode::corrupt);
  EXPECT_EQ(of("XX000").code, ErrorCode::internal);
}

TEST(PostgresError, names_the_server_and_the_place_in_the_query) {
  const Error error = to_error({"42703", "column \"x\" does not exist", "", "Perhaps you meant y.", "10", ""}, kServer,
                               "SELECT '\xC3\xA9x FROM t\nWHERE true");
  EXPECT_EQ(error.message, "PostgreSQL 'app' at db.example:5432: column \"x\" does not exist, at \"x FROM t\"");
  EXPECT_EQ(error.hint, "Perhaps you meant y.");
  EXPECT_THAT(to_error({"42703", "m", "", "", "999", ""}, kServer, "SELECT").message, HasSubstr(": m"));
}

TEST(PostgresError, a_missing_right_is_named) {
  EXPECT_EQ(of("42501", "permission denied for table files").hint, "as its owner: GRANT SELECT ON files TO heimdall");
  EXPECT_EQ(of("42501", "permission denied for schema media").hint, "as its owner: GRANT USAGE ON SCHEMA media TO heimdall");
  EXPECT_THAT(of("42501", "keine Berechtigung").hint, HasSubstr("GRANT SELECT ON ... TO heimdall"));
  for (const std::string_view query : {"WITH x AS (DELETE FROM files RETURNING ref) SELECT ref FROM x", "WITH x AS (\nUpdate files ...", "SELECT ref FROM files MERGE"}) {
    EXPECT_THAT(to_error({"42501", "permission denied for table files", "", "", "", ""}, kServer, query).hint, HasSubstr("may only read")) << query;
  }
  EXPECT_EQ(to_error({"42501", "permission denied for table files", "", "", "", ""}, kServer, "SELECT deleted, update_of FROM files").hint,
            "as its owner: GRANT SELECT ON files TO heimdall");
  const Error hidden = to_error({"42501", "query would be affected", "", "", "", "rls.c"}, kServer, "");
  EXPECT_EQ(hidden.code, ErrorCode::permission_denied);
  EXPECT_THAT(hidden.hint, HasSubstr("BYPASSRLS"));
}

TEST(PostgresError, a_failed_connection_says_whose_fault_it_is) {
  const auto fatal = [](const char* state) {
    return std::string("connection to server at \"h\", port 5432 failed: FATAL:  ") + state + ": why\nLOCATION:  f, a.c:1\n";
  };
  EXPECT_EQ(connecting(fatal("28P01")).code, ErrorCode::permission_denied);
  EXPECT_EQ(connecting(fatal("28000")).code, ErrorCode::permission_denied);
  EXPECT_EQ(connecting(fatal("3D000")).code, ErrorCode::not_found);
  EXPECT_EQ(connecting(fatal("42501")).code, ErrorCode::permission_denied);
  EXPECT_EQ(connecting(fatal("53300")).code, ErrorCode::throttled);
  EXPECT_EQ(connecting(fatal("53200")).code, ErrorCode::unavailable);
  EXPECT_EQ(connecting(fatal("57P03")).code, ErrorCode::unavailable);
  EXPECT_EQ(connecting("connection to server at \"h\", port 1 failed: Connection refused").code, ErrorCode::unavailable);
  EXPECT_EQ(connecting("connection ... failed: fe_sendauth: no password supplied").code, ErrorCode::permission_denied);
  EXPECT_EQ(connecting("connection ... failed: SSL error: certificate verify failed").code, ErrorCode::permission_denied);
  EXPECT_EQ(connecting("connection ... failed: server does not support SSL, but SSL was required").code, ErrorCode::permission_denied);
  EXPECT_EQ(connecting("invalid sslmode value: \"x\"").code, ErrorCode::invalid_argument);
  EXPECT_EQ(connecting("definition of service \"x\" not found").code, ErrorCode::invalid_argument);
  EXPECT_THAT(connecting(fatal("28P01")).message, Not(HasSubstr("LOCATION")));
}

TEST(PostgresError, secrets_do_not_get_into_messages) {
  EXPECT_THAT(connecting("x failed: s3cret and s3cret", {"", "s3cret"}).message, Not(HasSubstr("s3cret")));
  EXPECT_EQ(without_quoted("invalid port in URI: \"postgresql://u:s3cret@h:x/\" there\n"), "invalid port in URI: \"...\" there");
  EXPECT_EQ(without_quoted("unterminated \"s3cret"), "unterminated \"...\"");
}

}  // namespace
}  // namespace heimdall::postgres
