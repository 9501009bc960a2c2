#include "daemon/build_info.h"

namespace heimdall {

// The three come from src/daemon/CMakeLists.txt, for this file alone.
BuildInfo build_info() { return {HEIMDALL_VERSION, HEIMDALL_REVISION, HEIMDALL_COMPILER}; }

}  // namespace heimdall
