#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "app/config/config.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/board.h"
#include "daemon/runner.h"
#include "ports/journal.h"
#include "ports/store_traffic.h"
#include "state/state_database.h"
#include "state/state_directory.h"

namespace heimdall {

// What has to be done now and then, on two threads of its own: looks up what a killed run left in doubt as soon as its store answers, reads how full the disks of
// the stores are, and forgets what the history need not keep. Borrows what it is given.
class Upkeep {
 public:
  struct Parts {
    std::function<std::shared_ptr<const Config>()> config;
    Runner& runner;
    Board& board;
    StateDatabase& state;
    const StateDirectory& directory;
    StoreTraffic& traffic;
    Clock& clock;
    Log& log;
  };
  explicit Upkeep(Parts parts);
  // Waits for what is under way.
  ~Upkeep();

 private:
  void turn_by_turn(const char* name, std::chrono::minutes pause, std::stop_token stop, const std::function<void(int)>& once);
  void look_after(int turn, const std::stop_token& stop);
  void settle_doubts(int turn);
  std::map<std::string, std::uint64_t> left_in_doubt(const std::vector<InDoubt>& doubts) const;
  void forget_old(const std::stop_token& stop);
  void read_disks(const std::stop_token& stop);

  Parts parts_;
  // Of the thread `upkeep` alone.
  Timestamp wall_;  // at the last look at the clocks
  BootTime boot_;
  int next_settling_ = 0;  // turns
  int backoff_ = 1;
  std::mutex mutex_;  // belongs to `wake_`
  std::condition_variable_any wake_;
  std::jthread thread_, disks_;
};

}  // namespace heimdall
