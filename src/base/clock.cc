#include "base/clock.h"

#include <condition_variable>
#include <ctime>
#include <fstream>
#include <mutex>

namespace heimdall {

namespace {

std::chrono::nanoseconds read_clock(clockid_t id) {
  timespec ts{};
  clock_gettime(id, &ts);
  return std::chrono::seconds(ts.tv_sec) + std::chrono::nanoseconds(ts.tv_nsec);
}

}  // namespace

Timestamp SystemClock::now() const { return Timestamp(read_clock(CLOCK_REALTIME)); }

BootTime SystemClock::boot_now() const { return {read_clock(CLOCK_BOOTTIME)}; }

std::string SystemClock::boot_id() const {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

void SystemClock::sleep_for(std::chrono::nanoseconds duration, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, duration, [] { return false; });
}

}  // namespace heimdall
