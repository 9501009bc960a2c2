#include "pipeline/references/near_pairs.h"

#include <algorithm>

#include "io/file.h"

namespace heimdall {

Result<NearPairs> NearPairs::open(UniqueFd file, std::uint64_t offset, std::uint64_t count) {
  NearPairs pairs;
  pairs.file_ = std::move(file);
  pairs.offset_ = offset;
  pairs.count_ = count;
  const std::uint64_t blocks = (count + kPairsPerBlock - 1) / kPairsPerBlock;
  pairs.starts_.reserve(blocks);
  Block block;
  for (std::uint64_t number = 0; number < blocks; ++number) {
    TRY_ASSIGN(const auto content, pairs.read_block(number, block));
    pairs.starts_.push_back(content.front().first);
  }
  return pairs;
}

Result<std::span<const U64Pair>> NearPairs::read_block(std::uint64_t number, Block& block) const {
  const std::uint64_t first = number * kPairsPerBlock;
  const auto pairs = std::span<U64Pair>(block).first(std::min(kPairsPerBlock, count_ - first));
  TRY_ASSIGN(const std::size_t size, read_at(file_.get(), reinterpret_cast<char*>(pairs.data()), pairs.size_bytes(),
                                             offset_ + first * sizeof(U64Pair), "snapshot"));
  if (size != pairs.size_bytes()) return Error{ErrorCode::corrupt, "the snapshot was cut while it was used"};
  return std::span<const U64Pair>(pairs);
}

Result<bool> NearPairs::any_reference(std::uint64_t near_form, const std::function<bool(std::uint64_t)>& test) const {
  // The first block that begins with the near form or above it: the one before may end with it.
  const auto at = static_cast<std::uint64_t>(std::lower_bound(starts_.begin(), starts_.end(), near_form) - starts_.begin());
  Block block;
  for (std::uint64_t number = at > 0 ? at - 1 : 0; number < starts_.size() && starts_[number] <= near_form; ++number) {
    TRY_ASSIGN(const auto pairs, read_block(number, block));
    auto pair = std::lower_bound(pairs.begin(), pairs.end(), U64Pair{near_form, 0});
    for (; pair != pairs.end() && pair->first == near_form; ++pair) {
      if (test(pair->second)) return true;
    }
  }
  return false;
}

}  // namespace heimdall
