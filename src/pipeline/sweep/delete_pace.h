#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "model/policy.h"
#include "pipeline/pace.h"
#include "ports/object_store.h"

namespace heimdall {

// How many batches of a sweep are under way at once, and how large they are: first the number is searched (Pace), then the size, in turns.
// `delete_workers` fixes the number. Told of every batch that ends. Not thread-safe.
class DeletePace {
 public:
  static constexpr unsigned kMostWorkers = 8;

  // `most_in_batch`: what policy and store allow. `strain`: the store's before the first batch.
  DeletePace(const BucketPolicy& policy, std::size_t most_in_batch, const StoreStrain& strain, BootTime now);

  unsigned workers() const { return workers_.level(); }
  std::size_t batch_size() const { return sizes_[size_.level() - 1]; }
  unsigned best_workers() const { return workers_.best_level(); }
  bool wants_pause() const { return workers_.wants_pause(); }

  struct EndedBatch {
    std::uint64_t objects = 0;
    bool was_late = false;          // its verdict got stale before all was sent
    unsigned others_under_way = 0;
    StoreStrain strain = {};        // of the store, now
  };
  void batch_ended(const EndedBatch& batch, BootTime now);

  // The sweep waited for something else than the store: what was measured so far says nothing.
  void forget_window(BootTime now);

 private:
  void begin_window(BootTime now);
  void feed(const PaceWindow& window);

  std::optional<std::chrono::nanoseconds> latency_target_;
  std::vector<std::size_t> sizes_;
  Pace workers_;
  Pace size_;  // its level counts places in sizes_, from 1
  bool tries_size_ = false;
  BootTime begun_;
  unsigned batches_ = 0;
  std::uint64_t objects_ = 0;
  unsigned left_over_ = 0;  // batches of the level before, which belong to no window
  std::uint64_t push_backs_;
  bool was_late_ = false;
};

}  // namespace heimdall
