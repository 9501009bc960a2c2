#include "pipeline/sweep/sweep_gate.h"

#include <algorithm>

namespace heimdall {

namespace {

constexpr std::chrono::seconds kAskAgain{1};  // how long a lock in a database is believed to be ours

}  // namespace

bool Holds::are_ours() {
  const std::scoped_lock lock(mutex_);
  const auto speaks = [](SourceHold* hold) { return hold->was_spoken_to(); };
  if (holds_.empty() || lost_ || (clock_.boot_now() < believed_until_ && std::none_of(holds_.begin(), holds_.end(), speaks))) return !lost_;
  const BootTime asked = clock_.boot_now();
  lost_ = !std::all_of(holds_.begin(), holds_.end(), [](SourceHold* hold) { return hold->still_held(); });
  believed_until_ = asked + kAskAgain;
  return !lost_;
}

}  // namespace heimdall
