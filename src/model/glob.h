#pragma once

#include <string>
#include <string_view>

namespace heimdall {

// A pattern of `protect:`, over bytes. '?' is one byte but '/', '*' any run without '/', '**' any run; "dir/**" also matches "dir/" itself;
// '[a-z]' and '[!a-z]' sets; '\' takes the next byte literally. Matches the whole key. Linear in the key for each star (no blow-up). Thread-safe.
class Glob {
 public:
  explicit Glob(std::string pattern) : pattern_(std::move(pattern)) {}
  bool matches(std::string_view key) const;
  const std::string& pattern() const { return pattern_; }

 private:
  std::string pattern_;
};

}  // namespace heimdall
