#include "daemon/api/problem.h"

#include <chrono>

#include <nlohmann/json.hpp>

#include "app/report_json.h"
#include "base/format.h"

namespace heimdall {

namespace {

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return 422;
    case ErrorCode::not_found: return 404;
    case ErrorCode::permission_denied: return 502;  // a store or a database refused us, not the one who asks
    case ErrorCode::failed_precondition: return 409;
    case ErrorCode::locked: return 409;
    case ErrorCode::not_approved: return 409;
    case ErrorCode::throttled: return 503;
    case ErrorCode::unavailable: return 503;
    case ErrorCode::in_doubt: return 503;
    case ErrorCode::cancelled: return 503;
    case ErrorCode::corrupt: return 500;
    case ErrorCode::internal: return 500;
  }
  return 500;
}

}  // namespace

std::string_view status_phrase(int status) {
  switch (status) {
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 415: return "Unsupported Media Type";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    default: return "Error";
  }
}

ServerResponse response_of(const Problem& problem) {
  nlohmann::ordered_json json = {
      {"type", "about:blank"}, {"title", status_phrase(problem.status)}, {"status", problem.status}, {"detail", problem.detail}, {"hint", problem.hint}};
  if (!problem.field.empty()) json["field"] = problem.field;
  if (!problem.code.empty()) json["code"] = problem.code;
  ServerResponse response = ServerResponse::text(problem.status, "application/problem+json", to_text(json) + "\n");
  response.headers = problem.headers;
  return response;
}

Problem problem_of(const Error& error) {
  Problem problem{status_of(error.code), error.message, error.hint};
  problem.code = to_string(error.code);
  if (error.retry_after) {
    problem.headers.emplace_back("Retry-After", format("{}", std::chrono::ceil<std::chrono::seconds>(*error.retry_after).count()));
  } else if (problem.status == 503) {
    problem.headers.emplace_back("Retry-After", "5");
  }
  return problem;
}

}  // namespace heimdall
