#pragma once

#include <memory>

#include "app/config/config.h"
#include "base/clock.h"
#include "base/error.h"
#include "ports/reference_source.h"

namespace heimdall {

// One reference source as the configuration says. Contacts no database; secrets are looked up when it first connects.
Result<std::unique_ptr<ReferenceSource>> open_source(const Config& config, const ReferenceConfig& reference, Clock& clock);

}  // namespace heimdall
