#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace heimdall {

// Where a secret is found; never the secret itself. At most one of both is set.
struct SecretPlace {
  std::optional<std::string> environment;
  std::optional<std::filesystem::path> file;  // absolute
  bool is_set() const { return environment || file; }
};

}  // namespace heimdall
