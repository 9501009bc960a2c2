#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "httpd/http_server.h"

namespace heimdall {

// Why a request was not done, as application/problem+json (RFC 9457).
struct Problem {
  int status = 500;
  std::string detail;  // what happened, to what, why; no secret
  std::string hint = {};
  std::string field = {};  // of the body or the query, where one is to blame
  std::string code = {};   // of the error behind it: "not_found", "locked", ...
  std::vector<std::pair<std::string, std::string>> headers = {};
};

ServerResponse response_of(const Problem& problem);

// What an error of ours means for the one who asked: 404, 409, 503, ...; with Retry-After where later may help.
Problem problem_of(const Error& error);

// "Not Found".
std::string_view status_phrase(int status);

}  // namespace heimdall
