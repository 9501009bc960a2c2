#include "base/crash_point.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>

namespace heimdall {

namespace {

struct CrashAt {
  std::string point;
  int passages = 1;
};

CrashAt crash_at_from_environment() {
  const char* value = std::getenv("HEIMDALL_STORAGE_CRASH_AT");
  if (value == nullptr) return {};
  CrashAt crash_at{value, 1};
  if (const std::size_t colon = crash_at.point.find(':'); colon != std::string::npos) {
    crash_at.passages = std::atoi(crash_at.point.c_str() + colon + 1);
    crash_at.point.resize(colon);
  }
  return crash_at;
}

}  // namespace

void crash_point(std::string_view point) {
  static const CrashAt crash_at = crash_at_from_environment();
  if (crash_at.point.empty() || crash_at.point != point) return;
  static std::atomic<int> passed{0};
  if (passed.fetch_add(1) + 1 == crash_at.passages) std::raise(SIGKILL);
}

}  // namespace heimdall
