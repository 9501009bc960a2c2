#pragma once

#include <memory>
#include <stop_token>

#include "app/config/config.h"
#include "base/clock.h"
#include "base/error.h"
#include "ports/reference_source.h"

namespace heimdall {

// One reference source as the configuration says. Contacts no database; secrets are looked up when it first connects. Once `stop` is requested, what would wait
// for a server without a token of its own is given up: cancelled (PostgresSourceOptions::stop).
Result<std::unique_ptr<ReferenceSource>> open_source(const Config& config, const ReferenceConfig& reference, Clock& clock, std::stop_token stop = {});

}  // namespace heimdall
