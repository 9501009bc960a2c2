#include "model/mapping_text.h"

#include <algorithm>

namespace heimdall {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = to_lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

int hex_pair(char high, char low) {
  const int h = hex_digit(high);
  const int l = hex_digit(low);
  return h < 0 || l < 0 ? -1 : h * 16 + l;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return to_lower(x) == to_lower(y); });
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return equals_ignoring_case(text.substr(0, prefix.size()), prefix);
}

std::optional<std::string> percent_decoded(std::string_view text, Plus plus) {
  std::size_t at = text.find('%');
  if (plus == Plus::blank) at = std::min(at, text.find('+'));
  if (at == std::string_view::npos) return std::nullopt;
  std::string decoded;
  decoded.reserve(text.size());
  decoded.append(text.substr(0, at));
  bool changed = false;
  for (; at < text.size(); ++at) {
    char c = text[at];
    if (c == '+' && plus == Plus::blank) {
      c = ' ';
      changed = true;
    } else if (c == '%' && at + 2 < text.size()) {
      if (const int byte = hex_pair(text[at + 1], text[at + 2]); byte >= 0) {
        c = static_cast<char>(byte);
        at += 2;
        changed = true;
      }
    }
    decoded.push_back(c);
  }
  if (!changed) return std::nullopt;
  return decoded;
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (char c : text) {
    if (is_alpha(c) || is_digit(c) || std::string_view("/-._~").find(c) != std::string_view::npos) {
      encoded.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded.append({'%', kHex[byte / 16], kHex[byte % 16]});
  }
  return encoded;
}

std::string_view scheme_of(std::string_view text) {
  if (text.empty() || !is_alpha(text.front())) return {};
  std::size_t end = 1;
  while (end < text.size() && (is_alpha(text[end]) || is_digit(text[end]) || text[end] == '+' || text[end] == '-' || text[end] == '.')) {
    ++end;
  }
  return text.substr(end).starts_with("://") ? text.substr(0, end) : std::string_view();
}

bool is_http(std::string_view scheme) { return equals_ignoring_case(scheme, "http") || equals_ignoring_case(scheme, "https"); }

bool is_s3(std::string_view scheme) { return equals_ignoring_case(scheme, "s3"); }

std::string_view without_leading_slashes(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of('/'), text.size()));
}

std::string_view without_leading_dots(std::string_view text) {
  while (text.starts_with("./")) text.remove_prefix(2);
  return text;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

UrlParts split_url(std::string_view url) {
  UrlParts parts;
  parts.scheme = scheme_of(url);
  std::string_view rest = url.substr(parts.scheme.empty() ? 2 : parts.scheme.size() + 3);
  const auto is_end = [](char c) { return c == '/' || c == '?' || c == '#'; };
  const auto end = static_cast<std::size_t>(std::find_if(rest.begin(), rest.end(), is_end) - rest.begin());
  std::string_view authority = rest.substr(0, end);
  parts.tail = rest.substr(end);
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) authority.remove_prefix(at + 1);
  // The colons inside "[::1]" are the host's own.
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  parts.host = authority.substr(0, colon);
  if (colon != std::string_view::npos) parts.port = authority.substr(colon + 1);
  if (parts.port.empty() && !parts.scheme.empty()) parts.port = default_port(parts.scheme);
  return parts;
}

std::string_view default_port(std::string_view scheme) { return equals_ignoring_case(scheme, "https") ? "443" : "80"; }

std::string_view path_of(std::string_view tail) { return tail.substr(0, std::min(tail.find('?'), tail.find('#'))); }

}  // namespace heimdall
