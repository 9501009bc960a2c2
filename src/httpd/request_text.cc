#include "httpd/request_text.h"

#include <algorithm>
#include <charconv>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Bytes above 127 are let through: some clients write UTF-8 as it is.
bool may_stand_in_target(char c) { return static_cast<unsigned char>(c) > ' ' && c != '\x7f' && c != '#'; }

std::optional<std::map<std::string, std::string>> parse_query(std::string_view text) {
  std::map<std::string, std::string> query;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    auto name = percent_decoded(pair.substr(0, equals), PlusSign::space);
    auto value = percent_decoded(equals == std::string_view::npos ? "" : pair.substr(equals + 1), PlusSign::space);
    if (!name || !value) return std::nullopt;
    query.insert_or_assign(std::move(*name), std::move(*value));
  }
  return query;
}

Error unreadable(std::string_view text, std::string_view why) {
  return {.code = ErrorCode::invalid_argument,
          .message = format("'{}' is no address to listen on: {}", printable(text), why),
          .hint = "write host:port, for example 127.0.0.1:8001, 0.0.0.0:8001 or [::1]:8001"};
}

}  // namespace

std::optional<std::string> percent_decoded(std::string_view text, PlusSign plus) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
      decoded.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      decoded.push_back(text[i] == '+' && plus == PlusSign::space ? ' ' : text[i]);
    }
  }
  return decoded;
}

std::optional<RequestTarget> parse_target(std::string_view target) {
  if (!std::all_of(target.begin(), target.end(), may_stand_in_target)) return std::nullopt;
  RequestTarget parsed;
  constexpr std::string_view kScheme = "http://";
  if (target.starts_with(kScheme)) {
    target.remove_prefix(kScheme.size());
    const std::string_view authority = target.substr(0, target.find_first_of("/?"));
    if (authority.empty()) return std::nullopt;
    parsed.authority = authority;
    target.remove_prefix(authority.size());
    if (!target.starts_with('/')) {
      parsed.path = "/";
      if (target.empty()) return parsed;
    }
  } else if (!target.starts_with('/')) {
    return std::nullopt;
  }
  const std::string_view path = target.substr(0, target.find('?'));
  auto decoded = percent_decoded(path, PlusSign::literal);
  auto query = parse_query(path.size() == target.size() ? "" : target.substr(path.size() + 1));
  if (!decoded || !query) return std::nullopt;
  if (!decoded->empty()) parsed.path = std::move(*decoded);
  parsed.query = std::move(*query);
  return parsed;
}

Result<ListenAddress> parse_listen(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return unreadable(text, "it has no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    if (host.find(':') == std::string_view::npos) return unreadable(text, "only an IPv6 address stands in brackets");
  } else if (host.find_first_of(":[]") != std::string_view::npos) {
    return unreadable(text, "an IPv6 address is written in brackets");
  }
  if (host.empty()) return unreadable(text, "it has no host");
  if (std::any_of(host.begin(), host.end(), [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '/' || c == '\x7f'; })) {
    return unreadable(text, "the host has a character that no host has");
  }
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc{} || end != port.data() + port.size()) return unreadable(text, "the port must be a number from 0 to 65535");
  return ListenAddress{std::string(host), number};
}

}  // namespace heimdall
