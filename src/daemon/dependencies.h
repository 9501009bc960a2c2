#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

namespace heimdall {

// One thing the service needs: a store, a database, its own state.
struct DependencyState {
  std::string kind;  // "store", "database", "state"
  std::string name;  // as configured
  enum class Status { unknown, ok, failed } status = Status::unknown;
  std::string message;                      // why it failed; no secret
  std::optional<Timestamp> checked_at;      // of the last answer
  std::optional<Timestamp> last_ok_at;
  std::chrono::nanoseconds took{0};
};

struct Dependency {
  std::string kind, name;
  std::function<Result<void>(std::stop_token)> check;  // called on a thread of its own, one call at a time
};

// Looks at each dependency again and again, each on a thread of its own, so that one that hangs holds up neither the others nor a request: states() tells what
// the last looks said and never waits. A look that takes longer than `limit` counts as failed until it returns. A change of a state is logged once.
// Thread-safe.
class Dependencies {
 public:
  struct Pace {
    std::chrono::milliseconds interval = std::chrono::seconds(15);       // between looks while all is well
    std::chrono::milliseconds failed_interval = std::chrono::seconds(3); // and while it is not: recovery is seen soon
    std::chrono::milliseconds limit = std::chrono::seconds(10);
  };
  Dependencies(std::vector<Dependency> dependencies, Pace pace, Clock& clock, Log& log);
  ~Dependencies();

  void replace(std::vector<Dependency> dependencies);
  std::vector<DependencyState> states() const;
  // Waits until each was looked at once, at most so long.
  void wait_for_first(std::chrono::milliseconds at_most) const;

 private:
  class Watch;
  Pace pace_;
  Clock& clock_;
  Log& log_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Watch>> watches_;
};

}  // namespace heimdall
