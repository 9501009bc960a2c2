#include "httpd/request_head.h"

#include <algorithm>
#include <charconv>

namespace heimdall {

namespace {

constexpr std::string_view kLineEnd("\0\0", 2);

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

bool is_token(std::string_view text) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || kOthers.find(c) != std::string_view::npos;
  });
}

bool is_host(std::string_view text) {
  constexpr std::string_view kOthers = "-._~%!$&'()*+;=:[]";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || kOthers.find(c) != std::string_view::npos;
  });
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f'; });
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

// Takes the text up to the next NUL, and `end` behind it.
std::optional<std::string_view> take(std::string_view& rest, std::string_view end) {
  const std::size_t length = rest.find('\0');
  if (length == std::string_view::npos || rest.substr(length, end.size()) != end) return std::nullopt;
  const std::string_view text = rest.substr(0, length);
  rest.remove_prefix(length + end.size());
  return text;
}

// The target lies there with its '?' replaced by NUL, and another one behind that (see http_server.cc).
bool is_target(std::string_view there, std::string_view target) {
  if (there.size() != target.size()) return false;
  const std::size_t query = target.find('?');
  return there.substr(0, query) == target.substr(0, query);
}

}  // namespace

std::optional<HeaderLines> read_head(std::string_view head, std::string_view target) {
  constexpr std::string_view kNul("\0", 1);
  std::string_view rest = head;
  const auto method = take(rest, kNul);
  if (!method || !is_token(*method) || rest.size() < target.size() || !is_target(rest.substr(0, target.size()), target)) return std::nullopt;
  rest.remove_prefix(target.size());
  if (!rest.starts_with('\0')) return std::nullopt;
  rest.remove_prefix(1);
  const auto version = take(rest, kLineEnd);
  if (!version || !version->starts_with("HTTP/1.")) return std::nullopt;
  HeaderLines lines;
  while (rest != kLineEnd) {
    const auto name = take(rest, kNul);
    if (!name || !is_token(*name)) return std::nullopt;
    const auto value = take(rest, kLineEnd);
    if (!value) return std::nullopt;
    lines.emplace_back(*name, *value);
  }
  return lines;
}

std::variant<RequestHead, Refusal> judge_head(const HeaderLines& lines, HttpVersion version, const std::optional<std::string>& authority) {
  RequestHead head;
  int lengths = 0;
  int encodings = 0;
  int hosts = 0;
  for (const auto& [name, raw_value] : lines) {
    if (has_control_character(raw_value)) return Refusal{.why = "a header has a control character"};
    const std::string_view value = trimmed(raw_value);
    std::string key = lower_case(name);
    if (key == "content-length") {
      const auto length = whole_number(value);
      if (!length) return Refusal{.why = "Content-Length is no number"};
      head.content_length = *length;
      ++lengths;
    } else if (key == "transfer-encoding") {
      if (lower_case(value) != "chunked") return Refusal{.why = "the only Transfer-Encoding here is chunked"};
      head.chunked = true;
      ++encodings;
    } else if (key == "host") {
      if (!is_host(value)) return Refusal{.why = "Host is no host"};
      if (authority && lower_case(value) != lower_case(*authority)) return Refusal{.why = "Host is not the host of the request's target"};
      ++hosts;
    }
    const auto [known, is_new] = head.headers.try_emplace(std::move(key), value);
    if (!is_new) known->second.append(", ").append(value);
  }
  if (lengths > 1) return Refusal{.why = "several Content-Lengths"};
  if (encodings > 1) return Refusal{.why = "several Transfer-Encodings"};
  if (lengths + encodings > 1) return Refusal{.why = "Content-Length with Transfer-Encoding"};
  if (hosts > 1) return Refusal{.why = "several Hosts"};
  if (version == HttpVersion::http_1_1 && hosts == 0) return Refusal{.why = "HTTP/1.1 without a Host"};
  if (version == HttpVersion::http_1_0 && encodings > 0) return Refusal{.why = "Transfer-Encoding in HTTP/1.0"};
  return head;
}

}  // namespace heimdall
