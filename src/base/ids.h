#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"

namespace heimdall {

// 64 bits from the kernel's random generator.
std::uint64_t random_u64();

// A run id that sorts by time and is easy to read aloud: "20261123T001416Z-7f3a9c".
std::string new_run_id(const Clock& clock);

}  // namespace heimdall
