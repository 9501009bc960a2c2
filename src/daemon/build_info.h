#pragma once

#include <string_view>

namespace heimdall {

// Which program this is.
struct BuildInfo {
  std::string_view version;   // "0.1.0"
  std::string_view revision;  // of the sources when the build was configured; "unknown" without git
  std::string_view compiler;  // "GNU 12.2.0"
};

BuildInfo build_info();

}  // namespace heimdall
