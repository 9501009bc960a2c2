#pragma once

#include <cstdint>

namespace heimdall {

// What the kernel says about this process; 0 where it does not tell (a /proc that is hidden).
struct ProcessFigures {
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t max_fds = 0;
  std::uint64_t threads = 0;
  double start_time_seconds = 0;  // since 1970
};

ProcessFigures process_figures();

}  // namespace heimdall
