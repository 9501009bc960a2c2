#include "model/fingerprint.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace heimdall {

std::uint64_t Fingerprinter::operator()(std::string_view key) const {
  return XXH3_64bits_withSeed(key.data(), key.size(), salt_);
}

}  // namespace heimdall
