#pragma once

#include <optional>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "daemon/runner.h"
#include "model/run_report.h"

namespace heimdall {

// A run that waits or is under way, in the shape of a summary: `status` is queued or running, `progress` how far it is. `saved` is what the history has of it.
nlohmann::ordered_json live_run_json(std::string_view type, const LiveRun& run, const std::optional<RunReport>& saved, Timestamp now);

}  // namespace heimdall
