#pragma once

#include <string_view>

namespace heimdall {

// Kills the process (SIGKILL: nothing is flushed, nothing cleaned up) when the environment variable
// HEIMDALL_STORAGE_CRASH_AT is `point`, or `point:N` at the N-th passage. Lets tests stop at each step of the journal.
// Costs a load and a compare when the variable is not set.
void crash_point(std::string_view point);

}  // namespace heimdall
