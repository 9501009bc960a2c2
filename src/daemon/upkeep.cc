#include "daemon/upkeep.h"

#include <pthread.h>

#include <algorithm>
#include <exception>
#include <set>
#include <utility>

#include "app/capacities.h"
#include "base/format.h"

namespace heimdall {

namespace {

constexpr std::chrono::minutes kTurn{1};
constexpr std::chrono::minutes kDiskTurn{5};
constexpr int kTurnsPerForgetting = 60;
constexpr int kFirstForgetting = 10;    // a machine that has just started may not have set its clock yet
constexpr int kLongestBackoff = 60;     // turns
constexpr auto kSmallStep = std::chrono::minutes(5);

}  // namespace

Upkeep::Upkeep(Parts parts) : parts_(std::move(parts)), wall_(parts_.clock.now()), boot_(parts_.clock.boot_now()) {
  thread_ = std::jthread([this](std::stop_token stop) { turn_by_turn("upkeep", kTurn, stop, [&](int turn) { look_after(turn, stop); }); });
  // A store that hangs must not keep the rest from being done.
  disks_ = std::jthread([this](std::stop_token stop) { turn_by_turn("disks", kDiskTurn, stop, [this, stop](int) { read_disks(stop); }); });
}

Upkeep::~Upkeep() {
  thread_.request_stop();
  disks_.request_stop();
}

void Upkeep::turn_by_turn(const char* name, std::chrono::minutes pause, std::stop_token stop, const std::function<void(int)>& once) {
  pthread_setname_np(pthread_self(), name);
  for (int turn = 0; !stop.stop_requested(); ++turn) {
    try {
      once(turn);
    } catch (const std::exception& exception) {
      // Threads and memory may be short for a while.
      parts_.log.warning("upkeep.failed", format("upkeep could not be done, and is tried again: {}", exception.what()));
    }
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, pause, [&] { return stop.stop_requested(); });
  }
}

void Upkeep::look_after(int turn, const std::stop_token& stop) {
  settle_doubts(turn);
  if (turn % kTurnsPerForgetting == kFirstForgetting) forget_old(stop);
}

// Invariant 6. Every sweep does it first, too; but a bucket that is not swept again must not stay in doubt.
void Upkeep::settle_doubts(int turn) {
  const auto doubts = parts_.state.in_doubt("");
  if (!doubts) return parts_.log.warning("state.unreadable", doubts.error().message);
  parts_.board.set_in_doubt(left_in_doubt(*doubts));
  if (doubts->empty()) {
    backoff_ = 1;
    return;
  }
  if (turn < next_settling_) return;
  RunRequest request;
  request.task = Task::recover;
  request.trigger = "upkeep";
  const auto submitted = parts_.runner.submit_if_idle(std::move(request));
  if (!submitted) return parts_.log.warning("recover.refused", submitted.error().message);
  // What is under way may be theirs; the next turn sees.
  if (!*submitted) return;
  next_settling_ = turn + backoff_;
  backoff_ = std::min(2 * backoff_, kLongestBackoff);
}

// By bucket. The batch under way is none of it: its run looks it up.
std::map<std::string, std::uint64_t> Upkeep::left_in_doubt(const std::vector<InDoubt>& doubts) const {
  std::set<std::string> live;
  for (const LiveRun& run : parts_.runner.all_live()) live.insert(run.run_id);
  std::map<std::string, std::uint64_t> counts;
  for (const InDoubt& doubt : doubts) {
    if (!live.contains(doubt.run_id)) ++counts[doubt.bucket];
  }
  return counts;
}

void Upkeep::read_disks(const std::stop_token& stop) {
  const auto config = parts_.config();
  for (const auto& [store, capacity] : read_capacities(*config, parts_.clock, &parts_.traffic, stop)) {
    // That a store is away is for the dependencies to tell.
    if (capacity && *capacity) parts_.board.set_capacity(store, **capacity);
  }
}

void Upkeep::forget_old(const std::stop_token& stop) {
  const Timestamp now = parts_.clock.now();
  const BootTime boot = parts_.clock.boot_now();
  const auto step = (now - std::exchange(wall_, now)) - (boot - std::exchange(boot_, boot));
  // By a clock that was set a moment ago all of the history may be old: it waits until the clock has gone on evenly for an hour.
  if (std::chrono::abs(step) > kSmallStep) return parts_.log.warning("history.not_pruned", "the clock was stepped; nothing is forgotten for now");
  if (const auto pruned = parts_.state.prune(now, parts_.config()->keep_runs, stop); !pruned) {
    parts_.log.warning("history.not_pruned", pruned.error().message);
  }
  parts_.directory.remove_old_plans(now);
}

}  // namespace heimdall
