#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/environment.h"
#include "base/error.h"
#include "base/secret_place.h"

namespace heimdall {

// The secret itself, read afresh, so that it can be rotated; nullopt where none is configured. `what` names it in messages: "password". They never hold it.
// permission_denied if the variable is not set or the file not there; else as of read_whole_file().
Result<std::optional<std::string>> look_up_secret(const SecretPlace& place, std::string_view what, const Environment& environment);

}  // namespace heimdall
