#include "base/ids.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

std::uint64_t random_u64() {
  std::uint64_t value = 0;
  // getrandom() cannot fail for 8 bytes on any kernel we run on, but for a signal; a weak salt is no alternative.
  while (getrandom(&value, sizeof(value), 0) != sizeof(value)) {
    if (errno != EINTR) std::abort();
  }
  return value;
}

std::string new_run_id(const Clock& clock) {
  std::string time = rfc3339(clock.now());
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  return format("{}-{:06x}", time, random_u64() & 0xFFFFFFU);
}

}  // namespace heimdall
