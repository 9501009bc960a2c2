#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
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
  std::optional<Timestamp> checked_at;      // of the last answer, or of giving up on one
  std::optional<Timestamp> last_ok_at;
  std::chrono::nanoseconds took{0};         // the last look
};

struct Dependency {
  std::string kind, name;
  // Called on a thread of its own, one call at a time. It should return soon once a stop is requested; one that does not is left behind, so what it uses must
  // be its own or shared.
  std::function<Result<void>(std::stop_token)> check;
};

// Looks at each dependency again and again, each on a thread of its own, so that one that hangs holds up neither the others nor a request: states() tells what
// the last looks said and never waits. A look that takes longer than `limit` counts as failed until it returns. A change of a state is logged once
// ("dependency.down", "dependency.up"). Thread-safe.
class Dependencies {
 public:
  struct Pace {
    std::chrono::milliseconds interval = std::chrono::seconds(15);       // between looks while all is well
    std::chrono::milliseconds failed_interval = std::chrono::seconds(3); // and while it is not: recovery is seen soon
    std::chrono::milliseconds limit = std::chrono::seconds(10);
    std::chrono::milliseconds patience = std::chrono::seconds(1);        // with looks under way when they are to end
  };
  Dependencies(std::vector<Dependency> dependencies, Pace pace, Clock& clock, Log& log);
  // Asks looks under way to end, and waits for them no longer than `pace.patience`. Those left behind touch neither clock nor log any more.
  ~Dependencies();
  Dependencies(const Dependencies&) = delete;
  Dependencies& operator=(const Dependencies&) = delete;

  // Other dependencies from now on; one of the same kind and name keeps its state until it was looked at. Waits like the destructor.
  void replace(std::vector<Dependency> dependencies);
  // As configured.
  std::vector<DependencyState> states() const;
  // Waits until each was looked at once, at most so long.
  void wait_for_first(std::chrono::milliseconds at_most) const;

 private:
  struct Watch;
  struct Shared;
  // The ones before.
  std::vector<std::shared_ptr<Watch>> begin(std::vector<Dependency> dependencies);
  void end(const std::vector<std::shared_ptr<Watch>>& watches);
  void look_again_and_again(const std::shared_ptr<Watch>& watch, const std::shared_ptr<Shared>& shared, std::stop_token stop);
  void oversee(std::stop_token stop);
  void tell(const DependencyState& before, const DependencyState& after);

  const Pace pace_;
  Clock& clock_;
  Log& log_;
  const std::shared_ptr<Shared> shared_;  // outlives us where a look is left behind
  std::jthread overseer_;
};

}  // namespace heimdall
