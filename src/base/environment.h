#pragma once

#include <functional>
#include <optional>
#include <string>

namespace heimdall {

// Looks up one environment variable; a parameter, so that tests own it.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

}  // namespace heimdall
