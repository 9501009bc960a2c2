#pragma once

#include <cstdio>
#include <cstdlib>

#include "base/error.h"

namespace heimdall::bench {

inline constexpr std::size_t kPage = 1000;  // keys of one listed page
inline constexpr std::uint64_t kSalt = 20261123;

// A benchmark with a failed step has no figures: say what failed and stop.
template <class T>
T value_of(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "%s\n", result.error().message.c_str());
  std::abort();
}

}  // namespace heimdall::bench
