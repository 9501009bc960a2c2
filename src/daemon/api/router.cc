#include "daemon/api/router.h"

#include <algorithm>
#include <optional>

namespace heimdall {

namespace {

using Values = std::map<std::string, std::string>;

// Cuts the next "/segment" off; false at the end.
bool next_segment(std::string_view& rest, std::string_view& segment) {
  if (rest.empty() || rest.front() != '/') return false;
  rest.remove_prefix(1);
  segment = rest.substr(0, rest.find('/'));
  rest.remove_prefix(segment.size());
  return true;
}

bool is_name(std::string_view segment) { return segment.size() > 2 && segment.front() == '{' && segment.back() == '}'; }

std::optional<Values> values_of(std::string_view pattern, std::string_view path) {
  Values values;
  std::string_view wanted;
  std::string_view given;
  for (;;) {
    const bool more_wanted = next_segment(pattern, wanted);
    const bool more_given = next_segment(path, given);
    if (more_wanted != more_given) return std::nullopt;
    if (!more_wanted) return pattern.empty() && path.empty() ? std::optional(std::move(values)) : std::nullopt;
    if (is_name(wanted)) {
      if (given.empty()) return std::nullopt;
      values.emplace(wanted.substr(1, wanted.size() - 2), given);
    } else if (wanted != given) {
      return std::nullopt;
    }
  }
}

void add_method(std::string& allow, std::string_view method) {
  if (!allow.empty()) allow += ", ";
  allow += method;
  if (method == "GET") allow += ", HEAD";
}

}  // namespace

void Router::add(Route route) { routes_.push_back(std::move(route)); }

Router::Match Router::find(std::string_view method, std::string_view path) const {
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  // The pattern with the fewest {names} is the one that is meant.
  const Route* best = nullptr;
  Values best_values;
  for (const Route& route : routes_) {
    auto values = values_of(route.pattern, path);
    if (!values || (best != nullptr && best_values.size() <= values->size())) continue;
    best = &route;
    best_values = std::move(*values);
  }
  if (best == nullptr) return NotFound{};
  std::string allow;
  for (const Route& route : routes_) {
    if (route.pattern != best->pattern) continue;
    if (route.method == wanted) return Found{&route, std::move(best_values)};
    add_method(allow, route.method);
  }
  return WrongMethod{best->pattern, std::move(allow)};
}

}  // namespace heimdall
