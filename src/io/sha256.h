#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

namespace heimdall {

using Sha256Digest = std::array<unsigned char, 32>;

// SHA-256 of a stream of bytes.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view bytes);
  // The digest of everything so far; the object is spent afterwards.
  Sha256Digest finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// In lower-case hexadecimal.
std::string sha256_hex(std::string_view bytes);

}  // namespace heimdall
