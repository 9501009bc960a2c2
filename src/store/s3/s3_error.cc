#include "store/s3/s3_error.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

template <std::size_t N>
bool is_one_of(std::string_view code, const std::array<std::string_view, N>& codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

std::optional<std::chrono::milliseconds> retry_after(const HttpResponse& response) {
  const std::string_view text = response.header("Retry-After");
  int seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || seconds < 0) return std::nullopt;
  return std::chrono::seconds(std::min(seconds, 300));
}

// "access is denied (AccessDenied)": the server's own words come last, they are the least sure to mean anything.
std::string because(std::string_view why, const S3Problem& problem) {
  return problem.code.empty() ? std::string(why) : format("{} ({})", why, printable(problem.code));
}

struct Refusal403 {
  std::string why, hint;
};

// versitygw answers 404 with a code of its own.
bool is_unknown_key(std::string_view code) { return code == "InvalidAccessKeyId" || code == "XAdminUserNotFound"; }

Refusal403 refusal_of(const S3Problem& problem, const S3Intent& intent, const S3Parties& parties) {
  constexpr std::array<std::string_view, 3> kExpired = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"};
  if (is_unknown_key(problem.code)) {
    return {"the server does not know the access key", format("check {}", parties.who)};
  }
  if (problem.code == "SignatureDoesNotMatch") {
    return {"the signature is wrong, which means a wrong secret key",
            format("check the secret key of {}; if it is right, look for a proxy that changes requests", parties.who)};
  }
  if (is_one_of(problem.code, kExpired)) return {"the session token has expired", format("renew {}", parties.who)};
  if (problem.code == "RequestTimeTooSkewed") {
    return {"the clocks of this machine and of the server differ too much", "set both by NTP"};
  }
  return {"access is denied", format("allow {} {} on {} of '{}'", parties.who, intent.action, intent.resource, parties.endpoint.bucket())};
}

std::string region_of(const HttpResponse& response, const S3Problem& problem) {
  return problem.region.empty() ? std::string(response.header("x-amz-bucket-region")) : problem.region;
}

}  // namespace

S3Problem problem_of(const HttpResponse& response) {
  if (auto problem = parse_problem(response.body)) return *std::move(problem);
  return {std::string(response.header("x-minio-error-code")), std::string(response.header("x-minio-error-desc")), ""};
}

bool is_throttling_code(std::string_view code) {
  // The last three are a MinIO that has just been started, and already calls itself ready.
  constexpr std::array<std::string_view, 12> kCodes = {
      "SlowDown",   "SlowDownRead",        "SlowDownWrite",        "ServerBusy",                 "ServiceUnavailable",      "TooManyRequests",
      "Throttling", "ThrottlingException", "RequestLimitExceeded", "XMinioServerNotInitialized", "XMinioIAMNotInitialized", "XMinioBucketMetadataNotInitialized"};
  return is_one_of(code, kCodes);
}

bool is_throttling(const HttpResponse& response, const S3Problem& problem) {
  return is_throttling_code(problem.code) || response.status == 429;
}

Error s3_error(const HttpResponse& response, const S3Problem& problem, S3Target target, const S3Intent& intent,
               const S3Parties& parties) {
  const std::string& code = problem.code;
  const int status = response.status;
  const auto error = [&](ErrorCode what_next, std::string_view why, std::string hint = "") {
    return Error{what_next, format("cannot {} at {}: {}", intent.what, parties.endpoint.authority(), because(why, problem)), std::move(hint)};
  };
  if (is_throttling(response, problem) || status == 503) {
    Error slow = error(ErrorCode::throttled, "the server asks for patience");
    slow.retry_after = retry_after(response);
    return slow;
  }
  if (status == 501 || code == "NotImplemented" || code == "MethodNotAllowed") {
    return error(ErrorCode::failed_precondition, "the server does not implement it");
  }
  if (status >= 500 || code == "RequestTimeout" || code == "InternalError") {
    return error(ErrorCode::unavailable, format("the server answers {}", status));
  }
  if (code == "NoSuchBucket") {
    return error(target == S3Target::bucket ? ErrorCode::not_found : ErrorCode::failed_precondition,
                 format("there is no bucket '{}'", parties.endpoint.bucket()), "check its name and the store's endpoint, or create it");
  }
  if (target == S3Target::object) {
    constexpr std::array<std::string_view, 3> kImpossible = {"XMinioInvalidObjectName", "XMinioInvalidResourceName", "KeyTooLongError"};
    if (code == "NoSuchKey") return error(ErrorCode::not_found, "there is no such object");
    if (is_one_of(code, kImpossible)) return error(ErrorCode::not_found, "no object can have this key there");
  } else if (code == "NoSuchLifecycleConfiguration" || code == "ObjectLockConfigurationNotFoundError") {
    return error(ErrorCode::not_found, "there is none");
  }
  if (const std::string region = region_of(response, problem);
      !region.empty() && region != parties.region && (status == 301 || status == 307 || status == 400 || status == 403)) {
    return error(ErrorCode::failed_precondition,
                 format("the bucket is in region '{}', not in '{}'", printable(region), parties.region),
                 format("set `region: {}` and an endpoint of that region", printable(region)));
  }
  if (status == 401 || status == 403 || is_unknown_key(code)) {
    auto [why, hint] = refusal_of(problem, intent, parties);
    return error(ErrorCode::permission_denied, why, std::move(hint));
  }
  if (status == 412 || status == 409) return error(ErrorCode::failed_precondition, "its condition does not hold");
  if (code.empty() || status < 400) {
    return error(ErrorCode::corrupt, format("the answer {} does not come from an S3 server", status),
                 "check the endpoint, and what stands between");
  }
  return error(ErrorCode::invalid_argument, format("the server refuses it: {}", printable(problem.message)));
}

}  // namespace heimdall
