#pragma once

#include <fmt/format.h>

namespace heimdall {

// std::format, until the compiler of Debian 12 has one.
using fmt::format;

}  // namespace heimdall
