#pragma once

#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace heimdall {

// What is kept of a bucket for one day (UTC): the figures of the last complete scan that began on it, as they were before anything was deleted,
// and what runs that began on it deleted.
struct BucketDay {
  std::chrono::sys_days day{};
  Timestamp measured_at{};  // when that scan began; on an earlier day if there was none on this one
  std::uint64_t total_objects = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t referenced_objects = 0;
  std::uint64_t referenced_bytes = 0;
  std::uint64_t orphans_found = 0;
  std::uint64_t orphan_bytes = 0;
  std::uint64_t due_objects = 0;
  std::uint64_t due_bytes = 0;
  std::uint64_t orphans_deleted = 0;  // of the whole week where older points were thinned
  std::uint64_t bytes_deleted = 0;
  bool operator==(const BucketDay&) const = default;
};

}  // namespace heimdall
