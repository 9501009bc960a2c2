#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/object.h"
#include "ports/object_store.h"

namespace heimdall {

// Whether `parts` cover `whole` without gap or overlap, in key order. `internal` if not: what no range covers would be taken for absent.
Result<void> check_tiling(const ListRange& whole, std::span<const ListRange> parts);

// How many of the sorted keys lie in the range.
std::size_t count_in(const ListRange& range, std::span<const std::string> sorted_keys);

// The ranges of a bucket that are still to be listed, and those that are under way. A worker without work cuts the range that has most
// left, and takes the rest of it (work stealing): the one who lists it learns of its new end with its next page. Thread-safe.
class RangePool {
 public:
  struct Options {
    std::span<const std::string> sample;  // sorted keys that are likely to exist; see SplitHints
    std::uint64_t expected_keys = 0;      // in all ranges together
    std::uint64_t worthwhile = 0;         // see ListingLimits
    bool may_cut = true;                  // false: nobody is there to take what is cut off
  };
  // `ranges` in key order, disjoint.
  RangePool(ObjectReader& store, std::vector<ListRange> ranges, Options options);
  ~RangePool();

  class Work;  // a range under way; lives as long as the pool

  // Work for one more worker, after waiting where some may yet be cut off. nullptr: there is none left.
  Work* take(const std::stop_token& stop);

  // The range as it was handed out. Its end may have moved since.
  static const ListRange& range_of(const Work& work);
  // Says that `page`, whose order was checked, was listed.
  struct Share {
    std::size_t keys = 0;   // so many of the page, from its front, still belong to this range
    bool is_last = false;   // what follows does not
  };
  Share advance(Work& work, const ObjectPage& page);
  // It was listed to its end, or failed. The range that it was in the end: what was taken by others is not in it.
  ListRange finish(Work& work);

 private:
  void cut_largest(std::unique_lock<std::mutex>& lock);
  Work* largest();
  std::uint64_t estimate(const Work& work) const;

  ObjectReader& store_;
  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Work>> works_;  // waiting, under way and done
  std::vector<Work*> waiting_;                // the next one last
  std::size_t under_way_ = 0;
  std::chrono::steady_clock::time_point next_look_;  // for something to cut: one waiting worker looks for all
  bool is_cutting_ = false;  // one at a time: two would cut the same range, and each cut may cost requests
};

}  // namespace heimdall
