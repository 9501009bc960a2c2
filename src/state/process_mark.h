#pragma once

#include <cstdint>
#include <string>

namespace heimdall {

// Names one process so that a later one can tell whether it still runs. A pid alone is reused.
struct ProcessMark {
  std::int64_t pid = 0;
  std::int64_t start_ticks = 0;  // start of the process in the kernel's ticks since boot; 0: unknown
  std::string boot_id;           // empty: unknown
  bool operator==(const ProcessMark&) const = default;
};

ProcessMark this_process();

// Names the process in file names: "PID-START-BOOT", the last padded with '_' to the 36 characters of a boot id.
std::string file_name_of(const ProcessMark& mark);

// As this process's PID namespace shows it; one in another namespace (a container) is taken for ended: ask is_running() of sign_of_life.h.
// Within one namespace false only if that process has certainly ended; what cannot be told counts as running.
bool seems_running(const ProcessMark& mark);

}  // namespace heimdall
