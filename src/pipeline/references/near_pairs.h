#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/error.h"
#include "io/fd.h"
#include "io/radix_sort.h"

namespace heimdall {

// The pairs of a snapshot's file: a near form's fingerprint and that of a reference that has this near form, sorted. They can be twice as
// large as all references, and a scan asks only for the near forms of its orphans: they stay in the file, and 8 bytes in memory tell where
// 256 pairs begin. Thread-safe.
class NearPairs {
 public:
  NearPairs() = default;
  // `count` pairs at byte `offset` of a file that was verified. internal or corrupt if it cannot be read (any more).
  static Result<NearPairs> open(UniqueFd file, std::uint64_t offset, std::uint64_t count);

  // Whether `test` is true of a reference with this near form. Errors as those of open().
  Result<bool> any_reference(std::uint64_t near_form, const std::function<bool(std::uint64_t)>& test) const;

 private:
  static constexpr std::uint64_t kPairsPerBlock = 256;  // 4 KiB: a page
  using Block = std::array<U64Pair, kPairsPerBlock>;
  Result<std::span<const U64Pair>> read_block(std::uint64_t number, Block& block) const;

  UniqueFd file_;
  std::uint64_t offset_ = 0;
  std::uint64_t count_ = 0;
  std::vector<std::uint64_t> starts_;  // the first near form of each block
};

}  // namespace heimdall
