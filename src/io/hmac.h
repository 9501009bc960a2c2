#pragma once

#include <array>
#include <string>
#include <string_view>

#include "io/sha256.h"

namespace heimdall {

// HMAC-SHA256 (RFC 2104) of `message` under `key`.
Sha256Digest hmac_sha256(std::string_view key, std::string_view message);

// A digest as the bytes it is, for use as the next key.
inline std::string_view as_bytes(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// MD5 (RFC 1321), for the Content-MD5 header that some servers demand; it protects against nothing but accidents.
using Md5Digest = std::array<unsigned char, 16>;
Md5Digest md5(std::string_view bytes);

}  // namespace heimdall
