#include "daemon/readiness.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace heimdall {

namespace {

using Json = nlohmann::ordered_json;
using Status = DependencyState::Status;

std::string_view name_of(Status status) {
  switch (status) {
    case Status::unknown: return "unknown";
    case Status::ok: return "ok";
    case Status::failed: return "failed";
  }
  return "unknown";
}

Json time_json(const std::optional<Timestamp>& time) { return time ? Json(rfc3339(*time)) : Json(); }

// A clock that was stepped back makes nothing younger than now.
Json age_json(const std::optional<Timestamp>& time, Timestamp now) {
  if (!time) return {};
  const double seconds = std::chrono::duration<double>(now - *time).count();
  return std::max(0.0, std::round(seconds * 1000) / 1000);
}

Json dependency_json(const DependencyState& state, Timestamp now) {
  return {{"kind", state.kind},
          {"name", state.name},
          {"status", name_of(state.status)},
          {"message", state.status == Status::unknown && state.message.empty() ? "not looked at yet" : state.message},
          {"checked_at", time_json(state.checked_at)},
          {"age_seconds", age_json(state.checked_at, now)},
          {"last_ok_at", time_json(state.last_ok_at)}};
}

}  // namespace

Readiness readiness(std::span<const DependencyState> dependencies, const ConfigReload& config, Timestamp now) {
  Json each = Json::array();
  Json not_well = Json::array();
  for (const DependencyState& state : dependencies) {
    each.push_back(dependency_json(state, now));
    if (state.status != Status::ok) not_well.push_back(state.kind + " " + state.name);
  }
  const bool is_ready = not_well.empty();
  Json body = {{"status", is_ready ? "ready" : "degraded"}};
  if (!is_ready) body["failed"] = std::move(not_well);
  body["dependencies"] = std::move(each);
  body["configuration"] = {{"status", config.status == ConfigReload::Status::ok ? "ok" : "failed"}, {"tried_at", rfc3339(config.at)}};
  return {is_ready ? 200 : 503, body.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

}  // namespace heimdall
