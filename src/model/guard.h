#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace heimdall {

// The checks that refuse, in the order in which they are reported. Names are a contract: see name_of().
enum class Guard {
  identity_changed,
  partial_query,
  stale_list,
  clock_skew,
  no_references,
  references_fell,
  unmapped_references,
  match_rate,
  near_miss,
  unreferenced_class,
  orphan_ratio,
  max_deletes,
  max_bytes,
  recheck_blind,
};

inline constexpr std::array<std::string_view, 14> kGuardNames = {
    "identity_changed", "partial_query", "stale_list", "clock_skew", "no_references", "references_fell", "unmapped_references",
    "match_rate",       "near_miss",     "unreferenced_class", "orphan_ratio", "max_deletes", "max_bytes",   "recheck_blind"};

inline std::string_view name_of(Guard guard) { return kGuardNames[static_cast<std::size_t>(guard)]; }
inline std::optional<Guard> guard_named(std::string_view name) {
  for (std::size_t i = 0; i < kGuardNames.size(); ++i) {
    if (kGuardNames[i] == name) return static_cast<Guard>(i);
  }
  return std::nullopt;
}

// One guard that refuses, with its numbers. `message` is one sentence that ends with what to do.
struct Refusal {
  Guard guard;
  std::string bucket;
  double value = 0;
  double limit = 0;
  std::string message;
};

}  // namespace heimdall
