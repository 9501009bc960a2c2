#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

namespace heimdall {

// XXH3-64 with a seed: even, fast, and no secret.
std::uint64_t xxh3(std::string_view bytes, std::uint64_t seed);

using ChecksumDigest = std::array<unsigned char, 16>;

// XXH3-128 of a stream of bytes: at the speed of memory, for files that no one but this process writes and reads. It notices short writes and
// bad disks; where someone may want to deceive, it is Sha256 (io/sha256.h) that counts.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  Checksum(Checksum&&) noexcept;
  Checksum& operator=(Checksum&&) noexcept;

  void update(std::string_view bytes);
  // The digest of everything so far.
  ChecksumDigest digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace heimdall
