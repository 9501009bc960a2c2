#pragma once

#include <span>
#include <string>

#include "base/clock.h"
#include "daemon/dependencies.h"

namespace heimdall {

// How the last reading of the configuration went.
struct ConfigReload {
  enum class Status { ok, failed } status = Status::ok;
  Timestamp at{};
};

// What /readyz answers.
struct Readiness {
  int status = 200;  // 200 or 503
  std::string body;  // JSON, one line
};

// 200 with "ready" if every dependency was well when it was last looked at, else 503 with "degraded" and the names of those that were not. A configuration that
// could not be reloaded is told, but degrades nothing: the one before is in force. Pure: asks nobody and never waits.
Readiness readiness(std::span<const DependencyState> dependencies, const ConfigReload& config, Timestamp now);

}  // namespace heimdall
