#include "loopback/http_message.h"

#include <algorithm>

namespace heimdall::loopback {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

enum class Plus { literal, blank };

std::string decoded(std::string_view text, Plus plus) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_escape = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    if (is_escape) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' && plus == Plus::blank ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace

bool Request::has(std::string_view name) const {
  return std::any_of(query.begin(), query.end(), [&](const auto& parameter) { return parameter.first == name; });
}

std::string_view Request::value(std::string_view name) const {
  for (const auto& [known, value] : query) {
    if (known == name) return value;
  }
  return {};
}

void parse_target(std::string_view target, Request& request) {
  const std::size_t mark = std::min(target.find('?'), target.size());
  request.path = decoded(target.substr(0, mark), Plus::literal);
  for (std::string_view rest = target.substr(std::min(mark + 1, target.size())); !rest.empty();) {
    const std::string_view parameter = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(parameter.size() + 1, rest.size()));
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    request.query.emplace_back(decoded(parameter.substr(0, equals), Plus::blank),
                               decoded(parameter.substr(std::min(equals + 1, parameter.size())), Plus::blank));
  }
}

}  // namespace heimdall::loopback
