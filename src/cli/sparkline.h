#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/environment.h"

namespace heimdall {

enum class SparkStyle { blocks, ascii };

// One character for each value, from the lowest of them to the highest; equal ones are all low. Empty for none.
std::string sparkline(std::span<const std::uint64_t> values, SparkStyle style);

// Whether the environment's character set (LC_ALL, LC_CTYPE, LANG: the first that is set) is UTF-8.
bool is_utf8_locale(const Environment& environment);

}  // namespace heimdall
