#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/environment.h"
#include "base/error.h"
#include "base/secret_place.h"

namespace heimdall {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty: none
  bool operator==(const Credentials&) const = default;
};

struct CredentialPlaces {
  SecretPlace access_key, secret_key;  // both or none
  std::optional<std::string> profile;  // of the AWS shared files; else AWS_PROFILE, else "default"
};

// Finds the keys each time anew, so that rotated ones are taken up: what the configuration names; else AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (unless a profile is named); else the shared files (AWS_SHARED_CREDENTIALS_FILE or
// ~/.aws/credentials, AWS_CONFIG_FILE or ~/.aws/config). Files are read again when their time or size changed. Thread-safe.
class CredentialSource {
 public:
  CredentialSource(CredentialPlaces places, Environment environment);
  ~CredentialSource();

  // permission_denied if there are none, or only half; says where it looked and what to set. Never repeats a secret.
  Result<Credentials> get();

  // Where they come from, for people: "environment variables MINIO_ACCESS_KEY and MINIO_SECRET_KEY", "profile 'x' of ~/.aws/credentials".
  std::string description() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace heimdall
