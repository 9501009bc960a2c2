#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "ports/object_store.h"

namespace heimdall {

// Looks up what is in doubt a turn at a time: many at once, as a store may take its time for each answer, but few at first, and none any more once it could not say a
// thing of a whole turn. Else a store that hangs would hold up a start for hours.
class SettleTurns {
 public:
  std::size_t next(std::size_t left) const { return std::min(left, is_first_ ? kFirst : kLater); }

  // Those of a turn. All in doubt, without asking, once the store is given up.
  std::vector<RemoveOutcome> settle(ObjectStore& store, std::span<const ObjectMeta> objects) {
    if (is_given_up_) return std::vector<RemoveOutcome>(objects.size());
    auto outcomes = store.settle_all(objects);
    is_given_up_ = std::ranges::all_of(outcomes, [](const RemoveOutcome& outcome) { return outcome.kind == RemoveOutcome::Kind::in_doubt; });
    is_first_ = false;
    return outcomes;
  }

 private:
  static constexpr std::size_t kFirst = 16;
  static constexpr std::size_t kLater = 200;
  bool is_first_ = true;
  bool is_given_up_ = false;
};

}  // namespace heimdall
