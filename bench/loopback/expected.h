#pragma once

#include <cstdint>
#include <string>

#include "loopback/key_space.h"

namespace heimdall::loopback {

// Which objects a generated database names: all but every `orphan_every`-th, beginning with number 0, and `dangling` keys that no
// shape has.
struct References {
  const KeySpace& keys;
  std::uint64_t orphan_every = 10;  // 0: no orphans
  std::uint64_t dangling = 0;
};

// What a scan of these objects against these references has to find.
struct Expected {
  std::uint64_t total_objects, total_bytes, references, referenced_objects, orphans_found, orphan_bytes, dangling_references;
};
Expected expected_of(const References& references);
// As an object of JSON, with the names of the summary of `heimdall-storage scan --json`.
std::string to_json(const Expected& expected);

// Writes them to the descriptor, one key a line. False if it cannot be written to (errno).
bool write_references(const References& references, int fd);

}  // namespace heimdall::loopback
