#pragma once

#include <cstdint>
#include <string_view>

namespace heimdall {

// 64-bit salted fingerprints of keys (XXH3). Two keys with one fingerprint can only *keep* an orphan, and the salt
// changes each run. Thread-safe.
class Fingerprinter {
 public:
  explicit Fingerprinter(std::uint64_t salt) : salt_(salt) {}
  std::uint64_t operator()(std::string_view key) const;
  std::uint64_t salt() const { return salt_; }

 private:
  std::uint64_t salt_;
};

}  // namespace heimdall
