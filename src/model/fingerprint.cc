#include "model/fingerprint.h"

#include "base/hashing.h"

namespace heimdall {

std::uint64_t Fingerprinter::operator()(std::string_view key) const { return xxh3(key, salt_); }

}  // namespace heimdall
