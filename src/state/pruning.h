#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "io/sqlite.h"

namespace heimdall {

// What was removed from the state database because it got old.
struct Pruned {
  std::uint64_t runs = 0;
  std::uint64_t journal_rows = 0;
  std::uint64_t days = 0;  // points of buckets
  std::uint64_t plans = 0;  // marks of used ones
  bool operator==(const Pruned&) const = default;
};

// Removes what is old in steps, each a transaction of its own that takes milliseconds, so that a sweep gets its turn in between. Not thread-safe; what is
// called between two steps may do anything with the database.
class Pruning {
 public:
  Pruning(sqlite::Database& db, Timestamp now, std::chrono::nanoseconds keep_runs) : db_(db), now_(now), keep_runs_(keep_runs) {}

  // False once nothing is left to do. An error leaves what the steps before have done.
  Result<bool> step();
  const Pruned& pruned() const { return pruned_; }

 private:
  Result<bool> forget_runs();
  Result<void> forget_run(const std::string& run_id, std::int64_t& budget);
  Result<void> forget_plans();

  sqlite::Database& db_;
  Timestamp now_;
  std::chrono::nanoseconds keep_runs_;
  Pruned pruned_;
  bool runs_done_ = false;
  bool plans_done_ = false;
  std::optional<std::vector<std::string>> buckets_;  // that are still to be thinned
};

}  // namespace heimdall
