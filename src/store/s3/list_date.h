#pragma once

#include <optional>
#include <string_view>

#include "base/clock.h"

namespace heimdall {

// The date of a listed object in whole seconds, rounded down: as HEAD tells it (docs/adr/0016). nullopt for what parse_rfc3339() takes for no date;
// the form in which servers write dates, "2026-11-23T00:14:16.123Z", is read much faster than by that.
std::optional<Timestamp> list_date(std::string_view text);

}  // namespace heimdall
