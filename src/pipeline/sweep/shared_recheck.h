#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/together.h"
#include "pipeline/sweep/recheck.h"

namespace heimdall {

// A Rechecker for several batches at once: what is asked while it is busy is asked together by its next call, so that many batches cost
// the databases little more than one. Thread-safe.
class SharedRecheck {
 public:
  explicit SharedRecheck(Rechecker& rechecker)
      : together_([&rechecker](std::span<const Keys> batches) { return check_all(rechecker, batches); }) {}

  // As Rechecker::check(), whose call begins after this one. Ctrl-C finishes the batch, and the recheck belongs to it.
  Result<RecheckVerdict> check(const std::vector<std::string_view>& keys) { return together_.ask(keys); }

 private:
  using Keys = std::vector<std::string_view>;
  using Verdict = Result<RecheckVerdict>;
  static std::vector<Verdict> check_all(Rechecker& rechecker, std::span<const Keys> batches);

  Together<Keys, Verdict> together_;
};

}  // namespace heimdall
