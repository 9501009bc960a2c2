#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/glob.h"
#include "model/mapping.h"

namespace heimdall {

enum class Mode { report, remove };  // `remove` is "delete" in the configuration

// Limits of the guards of one bucket; the defaults are the safe ones.
struct GuardLimits {
  double max_orphan_ratio = 0.5;
  std::uint64_t max_unreferenced_class = 1000;
  std::optional<std::uint64_t> max_deletes;
  std::optional<std::uint64_t> max_bytes;
  std::uint64_t max_unmapped = 0;
  std::uint64_t max_near_misses = 10;
  double max_references_fall = 0.20;       // share of the baseline
  std::uint64_t max_references_fall_rows = 20;  // both must be exceeded
  double min_match_rate = 0.5;
};

// One reference of a bucket: how it is mapped and judged.
struct SourcePolicy {
  std::string name;  // stable across runs: "main: SELECT ..." or "list: keys.txt"
  MappingRules mapping;
  bool may_be_empty = false;
  double min_match_rate = 0.5;
  std::chrono::milliseconds max_list_age = std::chrono::hours(24);
};

// All safety knobs of one bucket in one place.
struct BucketPolicy {
  std::string name;
  Mode mode = Mode::report;
  std::vector<std::string> prefixes = {""};  // sorted, disjoint; each empty or ending in '/'
  std::chrono::milliseconds min_age = std::chrono::hours(24 * 30);
  std::chrono::milliseconds grace = std::chrono::hours(72);
  std::vector<Glob> protect;
  GuardLimits guards;
  std::size_t batch_size = 1000;                           // at most
  std::optional<unsigned> delete_workers;                  // batches at once; nullopt: as many as the store likes best
  std::optional<std::uint64_t> max_rate;                   // deletes per second
  std::optional<std::chrono::milliseconds> latency_target; // slower answers than this make a sweep stand back
  std::vector<SourcePolicy> sources;
  // SHA-256 over everything that decides which objects are candidates: store, prefixes, references, mapping, protect, ages.
  // A plan made under another one is stale.
  std::string digest;
};

}  // namespace heimdall
