#include "daemon/api/access.h"

#include <algorithm>
#include <cctype>

#include "base/format.h"
#include "base/text.h"
#include "io/sha256.h"

namespace heimdall {

namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// "localhost" of "LOCALHOST:8001", "[::1]" of "[::1]:8001".
std::string host_name(std::string_view host) {
  const std::size_t end = host.starts_with('[') ? host.find(']') : std::string_view::npos;
  if (end != std::string_view::npos) return lower(host.substr(0, end + 1));
  return lower(host.substr(0, host.find(':')));
}

// Without the port that `scheme` has by itself: browsers leave it out of Origin and of Host.
std::string authority_of(std::string_view authority, std::string_view scheme) {
  const std::string_view port = scheme == "https" ? ":443" : scheme == "http" ? ":80" : "";
  if (authority.ends_with(port)) authority.remove_suffix(port.size());
  return lower(authority);
}

// A browser names the page that sends a change: "https://host:port", or "null" where it keeps the page to itself. Programs send none.
bool is_of_another_origin(std::string_view origin, std::string_view host) {
  if (origin.empty()) return false;
  constexpr std::string_view kBehindScheme = "://";
  const std::size_t end = origin.find(kBehindScheme);
  if (end == std::string_view::npos) return true;
  const std::string scheme = lower(origin.substr(0, end));
  return host.empty() || authority_of(origin.substr(end + kBehindScheme.size()), scheme) != authority_of(host, scheme);
}

// The token of "Bearer TOKEN"; nullopt for anything else.
std::optional<std::string_view> bearer_token(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  header = trimmed(header);
  if (header.size() <= kScheme.size() || lower(header.substr(0, kScheme.size())) != kScheme) return std::nullopt;
  return trimmed(header.substr(kScheme.size()));
}

// 127.0.0.0/8 in four numbers: no name that somebody else's server could answer for.
bool is_loopback_address(std::string_view host) {
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos && std::count(host.begin(), host.end(), '.') == 3;
}

Problem unauthorized(std::string detail, std::string_view challenge) {
  Problem problem{401, std::move(detail), "send `Authorization: Bearer TOKEN` with the token that `http:` in the configuration names"};
  problem.headers.emplace_back("WWW-Authenticate", challenge);
  return problem;
}

std::optional<Problem> check_token(const ServerRequest& request, const std::function<Result<std::optional<std::string>>()>& token) {
  const auto wanted = token();
  if (!wanted) {
    // Not there or not readable is as good as none; anything else is our own trouble.
    Problem problem{wanted.error().code == ErrorCode::permission_denied ? 403 : 500, format("the token cannot be read, so nothing can be changed: {}", wanted.error().message), wanted.error().hint};
    if (problem.hint.empty()) problem.hint = "let `http: {token_file: ...}` in the configuration name a file that is there and that the user of the service can read";
    problem.code = to_string(wanted.error().code);
    return problem;
  }
  if (!*wanted || trimmed(**wanted).empty()) {
    return Problem{403, *wanted ? "the configured token is empty, so nothing can be changed over HTTP" : "no token is configured, so nothing can be changed over HTTP",
                   "name one in the configuration: `http: {token_env: HEIMDALL_STORAGE_TOKEN}` or `token_file: ...`"};
  }
  const std::string_view header = request.header("authorization");
  if (header.empty()) return unauthorized("this changes something, and the request has no token", R"(Bearer realm="heimdall-storage")");
  const auto given = bearer_token(header);
  if (!given || !is_same_secret(*given, trimmed(**wanted))) {
    return unauthorized("the token is not the right one", R"(Bearer realm="heimdall-storage", error="invalid_token")");
  }
  return std::nullopt;
}

// Also what clients say that were not told what they send (curl -d, for one): the token keeps pages of other sites out, and the body has to be JSON in any case.
bool may_be_json(std::string_view type) {
  return type.empty() || type == "application/json" || type.ends_with("+json") || type == "application/x-www-form-urlencoded";
}

}  // namespace

bool is_same_secret(std::string_view given, std::string_view wanted) {
  Sha256 first;
  first.update(given);
  Sha256 second;
  second.update(wanted);
  const Sha256Digest a = first.finish();
  const Sha256Digest b = second.finish();
  // volatile: no early end is made of it.
  volatile unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

std::optional<Problem> check_loopback_host(const ServerRequest& request) {
  const std::string host = host_name(trimmed(request.header("host")));
  if (host == "localhost" || is_loopback_address(host) || host == "[::1]") return std::nullopt;
  return Problem{421, format("the service listens on a loopback address and is not '{}'", printable(host)),
                 "ask http://127.0.0.1 or http://localhost; behind a proxy, let it send `Host: localhost` or let the service listen on another address"};
}

std::optional<Problem> check_change(const ServerRequest& request, const std::function<Result<std::optional<std::string>>()>& token) {
  if (lower(trimmed(request.header("sec-fetch-site"))) == "cross-site" || is_of_another_origin(trimmed(request.header("origin")), trimmed(request.header("host")))) {
    return Problem{403, "a page of another site sent this", "changes are taken from programs and from pages of this very address"};
  }
  if (auto problem = check_token(request, token)) return problem;
  if (request.body.empty()) return std::nullopt;
  const std::string_view type = request.header("content-type");
  if (!may_be_json(lower(trimmed(type.substr(0, type.find(';')))))) {
    return Problem{415, format("the body is '{}', not JSON", printable(type)), "send `Content-Type: application/json`"};
  }
  return std::nullopt;
}

}  // namespace heimdall
