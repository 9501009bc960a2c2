#include "io/hmac.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <new>

namespace heimdall {

// Both fail only without memory (or in a build of OpenSSL that lacks them); a digest we cannot compute must never look like one.

Sha256Digest hmac_sha256(std::string_view key, std::string_view message) {
  Sha256Digest digest{};
  const auto* const bytes = reinterpret_cast<const unsigned char*>(message.data());
  // OpenSSL takes a null key for "the key of last time".
  const char* const key_bytes = key.empty() ? "" : key.data();
  if (HMAC(EVP_sha256(), key_bytes, static_cast<int>(key.size()), bytes, message.size(), digest.data(), nullptr) == nullptr) {
    throw std::bad_alloc();
  }
  return digest;
}

Md5Digest md5(std::string_view bytes) {
  Md5Digest digest{};
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_md5(), nullptr) != 1) throw std::bad_alloc();
  return digest;
}

}  // namespace heimdall
