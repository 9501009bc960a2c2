#include "daemon/api/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace heimdall {
namespace {

using ::testing::HasSubstr;
using Token = Result<std::optional<std::string>>;

std::function<Token()> token(Token value) {
  return [value] { return value; };
}
const auto kToken = token(std::optional<std::string>("right"));

ServerRequest change(std::map<std::string, std::string> headers, std::string body = "{}") {
  headers.emplace("content-type", "application/json");
  return {"POST", "/api/v1/runs", {}, std::move(headers), std::move(body), "127.0.0.1:1"};
}
int status_of(const std::optional<Problem>& problem) { return problem ? problem->status : 200; }

TEST(AccessTest, takes_a_change_with_the_token) {
  EXPECT_EQ(status_of(check_change(change({{"authorization", "Bearer right"}}), kToken)), 200);
  EXPECT_EQ(status_of(check_change(change({{"authorization", "bearer  right "}}), kToken)), 200);
}

TEST(AccessTest, takes_the_token_of_a_file_that_ends_with_a_line_end) {
  EXPECT_EQ(status_of(check_change(change({{"authorization", "Bearer right"}}), token(std::optional<std::string>("right\n")))), 200);
}

TEST(AccessTest, takes_no_change_without_the_right_token) {
  for (const char* given : {"", "Bearer", "Bearer ", "Bearer wrong", "Bearer right2", "Bearer righ", "Basic right", "right", "Bearer right, Bearer wrong"}) {
    const auto problem = check_change(change({{"authorization", given}}), kToken);
    ASSERT_TRUE(problem.has_value()) << given;
    EXPECT_EQ(problem->status, 401) << given;
    ASSERT_EQ(problem->headers.size(), 1U);
    EXPECT_EQ(problem->headers.front().first, "WWW-Authenticate");
  }
  EXPECT_EQ(status_of(check_change(change({}), kToken)), 401);
}

TEST(AccessTest, takes_no_change_where_no_token_is_configured) {
  EXPECT_EQ(status_of(check_change(change({{"authorization", "Bearer right"}}), token(std::optional<std::string>()))), 403);
}

TEST(AccessTest, an_empty_token_opens_nothing) {
  for (const char* given : {"Bearer ", "Bearer", ""}) {
    EXPECT_EQ(status_of(check_change(change({{"authorization", given}}), token(std::optional<std::string>(" \n")))), 403);
  }
}

TEST(AccessTest, a_token_that_cannot_be_read_opens_nothing) {
  const auto problem = check_change(change({{"authorization", "Bearer right"}}), token(Error{ErrorCode::permission_denied, "cannot open 'token'", "chmod"}));
  ASSERT_TRUE(problem.has_value());
  EXPECT_EQ(problem->status, 403);
  EXPECT_THAT(problem->detail, HasSubstr("cannot open 'token'"));
  EXPECT_EQ(status_of(check_change(change({{"authorization", "Bearer right"}}), token(Error{ErrorCode::internal, "the disk fails", ""}))), 500);
}

TEST(AccessTest, takes_no_body_but_json) {
  for (const char* type : {"text/plain", "multipart/form-data; boundary=x", "application/json5"}) {
    ServerRequest request = change({{"authorization", "Bearer right"}});
    request.headers["content-type"] = type;
    EXPECT_EQ(status_of(check_change(request, kToken)), 415) << type;
  }
  for (const char* type : {"Application/JSON; charset=utf-8", "application/x-www-form-urlencoded", ""}) {
    ServerRequest request = change({{"authorization", "Bearer right"}});
    request.headers["content-type"] = type;
    EXPECT_EQ(status_of(check_change(request, kToken)), 200) << type;
  }
  ServerRequest empty = change({{"authorization", "Bearer right"}}, "");
  empty.headers.erase("content-type");
  EXPECT_EQ(status_of(check_change(empty, kToken)), 200);
}

TEST(AccessTest, takes_nothing_from_pages_of_other_sites) {
  EXPECT_EQ(status_of(check_change(change({{"authorization", "Bearer right"}, {"sec-fetch-site", "cross-site"}}), kToken)), 403);
  EXPECT_EQ(status_of(check_change(change({{"authorization", "Bearer right"}, {"sec-fetch-site", "same-origin"}}), kToken)), 200);
}

TEST(AccessTest, takes_nothing_from_pages_of_other_origins) {
  const auto status = [](const std::string& origin, const std::string& host) {
    return status_of(check_change(change({{"authorization", "Bearer right"}, {"origin", origin}, {"host", host}}), kToken));
  };
  const std::vector<std::pair<std::string, std::string>> own = {
      {"http://127.0.0.1:8001", "127.0.0.1:8001"}, {"http://LocalHost:8001", "localhost:8001"}, {"http://[::1]:8001", "[::1]:8001"},
      {"https://heimdall.example", "heimdall.example"}, {"https://heimdall.example", "heimdall.example:443"}, {"http://heimdall.example:80", "heimdall.example"},
  };
  for (const auto& [origin, host] : own) EXPECT_EQ(status(origin, host), 200) << origin << " " << host;
  const std::vector<std::pair<std::string, std::string>> others = {
      {"null", "127.0.0.1:8001"}, {"http://evil.example", "127.0.0.1:8001"}, {"http://127.0.0.1:8002", "127.0.0.1:8001"}, {"http://localhost:8001", "127.0.0.1:8001"},
      {"http://127.0.0.1", "127.0.0.1:8001"}, {"https://heimdall.example:80", "heimdall.example"}, {"127.0.0.1:8001", "127.0.0.1:8001"},
      {"http://127.0.0.1:8001, http://evil.example", "127.0.0.1:8001"}, {"http://127.0.0.1:8001.evil.example", "127.0.0.1:8001"}, {"http://", ""},
  };
  for (const auto& [origin, host] : others) EXPECT_EQ(status(origin, host), 403) << origin << " " << host;
  EXPECT_EQ(status_of(check_change(change({{"authorization", "Bearer right"}, {"host", "127.0.0.1:8001"}}), kToken)), 200) << "programs name no origin";
}

TEST(AccessTest, a_token_file_that_is_not_there_is_told_with_what_to_do) {
  const auto problem = check_change(change({{"authorization", "Bearer right"}}), token(Error{ErrorCode::permission_denied, "cannot open the token file", ""}));
  ASSERT_TRUE(problem.has_value());
  EXPECT_EQ(problem->status, 403);
  EXPECT_THAT(problem->hint, HasSubstr("token_file"));
}

TEST(AccessTest, knows_the_names_of_this_machine) {
  for (const char* host : {"localhost", "LocalHost:8001", "127.0.0.1", "127.0.0.1:80", "127.0.0.2", "[::1]", "[::1]:8001"}) {
    EXPECT_EQ(status_of(check_loopback_host({"GET", "/", {}, {{"host", host}}, "", ""})), 200) << host;
  }
  for (const char* host : {"", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8001", "127.0.0.evil", "[::2]", "::1", "127.0.0.1, evil.example"}) {
    EXPECT_EQ(status_of(check_loopback_host({"GET", "/", {}, {{"host", host}}, "", ""})), 421) << host;
  }
}

TEST(AccessTest, compares_secrets_as_a_whole) {
  EXPECT_TRUE(is_same_secret("abc", "abc"));
  EXPECT_FALSE(is_same_secret("abc", "abd"));
  EXPECT_FALSE(is_same_secret("abc", "abcd"));
  EXPECT_FALSE(is_same_secret("", "abc"));
}

}  // namespace
}  // namespace heimdall
