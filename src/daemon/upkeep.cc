#include "daemon/upkeep.h"

#include <pthread.h>

#include "app/capacities.h"

namespace heimdall {

namespace {

constexpr std::chrono::minutes kTurn{1};
constexpr int kTurnsPerDiskLook = 5;
constexpr int kTurnsPerForgetting = 60;

}  // namespace

Upkeep::Upkeep(Parts parts) : parts_(std::move(parts)) {
  thread_ = std::jthread([this](std::stop_token stop) {
    pthread_setname_np(pthread_self(), "upkeep");
    work(stop);
  });
}

Upkeep::~Upkeep() { thread_.request_stop(); }

void Upkeep::work(std::stop_token stop) {
  for (int turn = 0; !stop.stop_requested(); ++turn) {
    settle_doubts();
    if (turn % kTurnsPerDiskLook == 0) read_disks();
    if (turn % kTurnsPerForgetting == 0) forget_old(stop);
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, kTurn, [&] { return stop.stop_requested(); });
  }
}

// Invariant 6. Every sweep does it first, too; but a bucket that is not swept again must not stay in doubt.
void Upkeep::settle_doubts() {
  const auto doubts = parts_.state.in_doubt("");
  if (!doubts) return parts_.log.warning("state.unreadable", doubts.error().message);
  if (doubts->empty()) return;
  // What is under way may be theirs; the next turn sees.
  if (!parts_.runner.all_live().empty()) return;
  RunRequest request;
  request.task = Task::recover;
  request.trigger = "upkeep";
  if (const auto submitted = parts_.runner.submit(request); !submitted) parts_.log.warning("recover.refused", submitted.error().message);
}

void Upkeep::read_disks() {
  const auto config = parts_.config();
  for (const auto& [store, capacity] : read_capacities(*config, parts_.clock, &parts_.traffic)) {
    // That a store is away is for the dependencies to tell.
    if (capacity && *capacity) parts_.board.set_capacity(store, **capacity);
  }
}

void Upkeep::forget_old(std::stop_token stop) {
  const Timestamp now = parts_.clock.now();
  if (const auto pruned = parts_.state.prune(now, parts_.config()->keep_runs, std::move(stop)); !pruned) {
    parts_.log.warning("history.not_pruned", pruned.error().message);
  }
  parts_.directory.remove_old_plans(now);
}

}  // namespace heimdall
