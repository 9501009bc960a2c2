#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace heimdall {

// One thing that happened in a run, as clients of the API see it.
struct RunEvent {
  std::uint64_t id = 0;  // grows, across restarts, too
  std::string run_id;
  std::string type;      // "status", "progress", "log", "guard", "summary"
  std::string json;      // one line
};

// The latest events of all runs, in memory, bounded; and those who wait for more. Thread-safe.
class EventLog {
 public:
  // Keeps the last `keep` events, fewer if they are so long that they take more than `keep_bytes`.
  explicit EventLog(const Clock& clock, std::size_t keep = 10'000, std::size_t keep_bytes = 8U << 20U);

  void add(std::string_view run_id, std::string_view type, std::string json);

  struct Batch {
    std::vector<RunEvent> events;
    std::uint64_t next = 0;  // ask for those after this one
    bool lost_some = false;  // events between `after` and the first one here are no longer kept
  };
  // Events with an id above `after`, of one run or (empty) of all; at most `limit`. 0 asks for all that are kept, and so does an id from the future: one
  // of an earlier life of this service, before the clock was set back.
  Batch after(std::uint64_t after, std::string_view run_id, std::size_t limit = 500) const;
  std::uint64_t last_id() const;

  // `wake` is called after each add(), until the subscription is destroyed. It must be cheap and must not call back.
  using Subscription = std::shared_ptr<void>;
  Subscription subscribe(std::function<void()> wake);

 private:
  struct Waiters;
  mutable std::mutex mutex_;
  std::deque<RunEvent> events_;  // ids without a gap
  std::uint64_t last_id_;
  const std::size_t keep_;
  const std::size_t keep_bytes_;
  std::size_t bytes_ = 0;
  std::shared_ptr<Waiters> waiters_;
};

}  // namespace heimdall
