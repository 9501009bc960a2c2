#include "daemon/dependencies.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <utility>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

using Status = DependencyState::Status;

// One dependency and the thread that looks at it. All but `dependency` is guarded by Shared::mutex.
struct Dependencies::Watch {
  enum class Phase { resting, looking, overdue, ended };

  Dependency dependency;
  DependencyState state;
  bool was_looked_at = false;
  Phase phase = Phase::resting;
  BootTime looking_since{};
  bool is_left_behind = false;  // nobody is left to tell: the thread may only return
  std::jthread thread = {};
};

namespace {

// Threads and memory may be short for a while: the next look may have them.
Result<void> looked(const Dependency& dependency, const std::stop_token& stop) {
  try {
    return dependency.check(stop);
  } catch (const std::exception& exception) {
    return Error{ErrorCode::internal, format("it could not be looked at: {}", exception.what())};
  }
}

}  // namespace

struct Dependencies::Shared {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::vector<std::shared_ptr<Watch>> watches;
};

Dependencies::Dependencies(std::vector<Dependency> dependencies, Pace pace, Clock& clock, Log& log)
    : pace_(pace), clock_(clock), log_(log), shared_(std::make_shared<Shared>()) {
  static_cast<void>(begin(std::move(dependencies)));
  overseer_ = std::jthread([this](std::stop_token stop) { oversee(std::move(stop)); });
}

Dependencies::~Dependencies() {
  overseer_ = {};
  end(begin({}));
}

void Dependencies::replace(std::vector<Dependency> dependencies) { end(begin(std::move(dependencies))); }

std::vector<std::shared_ptr<Dependencies::Watch>> Dependencies::begin(std::vector<Dependency> dependencies) {
  std::vector<std::shared_ptr<Watch>> watches;
  std::unique_lock lock(shared_->mutex);
  for (Dependency& dependency : dependencies) {
    auto watch = std::make_shared<Watch>();
    watch->state.kind = dependency.kind;
    watch->state.name = dependency.name;
    for (const auto& known : shared_->watches) {
      if (known->state.kind == dependency.kind && known->state.name == dependency.name) watch->state = known->state;
    }
    watch->dependency = std::move(dependency);
    watches.push_back(std::move(watch));
  }
  try {
    for (const auto& watch : watches) {
      watch->thread = std::jthread([this, watch, shared = shared_](std::stop_token stop) { look_again_and_again(watch, shared, std::move(stop)); });
    }
  } catch (const std::system_error&) {  // not all of them: those that were to be replaced stay
    for (const auto& watch : watches) watch->thread.request_stop();
    lock.unlock();
    for (const auto& watch : watches) {
      if (watch->thread.joinable()) watch->thread.join();
    }
    throw;
  }
  return std::exchange(shared_->watches, std::move(watches));
}

// A thread that is not inside a look ends at once, for it waits on `changed` or tells the log. One that is gets `patience`, then it is left behind.
void Dependencies::end(const std::vector<std::shared_ptr<Watch>>& watches) {
  for (const auto& watch : watches) watch->thread.request_stop();
  const auto is_looking = [](const std::shared_ptr<Watch>& watch) { return watch->phase == Watch::Phase::looking || watch->phase == Watch::Phase::overdue; };
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait_for(lock, pace_.patience, [&] { return std::none_of(watches.begin(), watches.end(), is_looking); });
  for (const auto& watch : watches) watch->is_left_behind = is_looking(watch);
  lock.unlock();
  for (const auto& watch : watches) {
    if (watch->is_left_behind) watch->thread.detach();
    else watch->thread.join();
  }
}

// After the check, `this` is only there if the watch was not left behind.
void Dependencies::look_again_and_again(const std::shared_ptr<Watch>& watch, const std::shared_ptr<Shared>& shared, std::stop_token stop) {
  std::unique_lock lock(shared->mutex);
  while (!stop.stop_requested()) {
    watch->phase = Watch::Phase::looking;
    watch->looking_since = clock_.boot_now();
    lock.unlock();
    const Result<void> seen = looked(watch->dependency, stop);
    lock.lock();
    if (watch->is_left_behind) return;
    watch->phase = Watch::Phase::resting;
    shared->changed.notify_all();
    if (stop.stop_requested()) return;  // a look that was cut short says nothing
    const DependencyState before = watch->state;
    DependencyState& state = watch->state;
    state.status = seen ? Status::ok : Status::failed;
    state.message = seen ? std::string() : seen.error().message;
    state.checked_at = clock_.now();
    if (seen) state.last_ok_at = state.checked_at;
    state.took = clock_.boot_now() - watch->looking_since;
    watch->was_looked_at = true;
    shared->changed.notify_all();
    const DependencyState after = state;
    lock.unlock();
    tell(before, after);
    lock.lock();
    shared->changed.wait_for(lock, stop, seen ? pace_.interval : pace_.failed_interval, [] { return false; });
  }
}

// A look that hangs cannot say so itself.
void Dependencies::oversee(std::stop_token stop) {
  const auto pause = std::clamp<std::chrono::milliseconds>(pace_.limit / 4, std::chrono::milliseconds(5), std::chrono::seconds(1));
  std::unique_lock lock(shared_->mutex);
  while (!stop.stop_requested()) {
    shared_->changed.wait_for(lock, stop, pause, [] { return false; });
    std::vector<std::pair<DependencyState, DependencyState>> changes;
    for (const auto& watch : shared_->watches) {
      if (watch->phase != Watch::Phase::looking) continue;
      const auto waited = clock_.boot_now() - watch->looking_since;
      if (waited <= pace_.limit) continue;
      const DependencyState before = watch->state;
      watch->phase = Watch::Phase::overdue;
      watch->was_looked_at = true;
      watch->state.status = Status::failed;
      watch->state.message = format("no answer for {}", human_duration(waited));
      watch->state.checked_at = clock_.now();
      watch->state.took = waited;
      changes.emplace_back(before, watch->state);
    }
    if (changes.empty()) continue;
    shared_->changed.notify_all();
    lock.unlock();
    for (const auto& [before, after] : changes) tell(before, after);
    lock.lock();
  }
}

void Dependencies::tell(const DependencyState& before, const DependencyState& after) {
  if (before.status == after.status) return;
  const std::string what = after.kind + " '" + after.name + "'";
  if (after.status == Status::failed) {
    log_.warning("dependency.down", format("{} is away: {}", what, after.message),
                 {{"kind", after.kind}, {"name", after.name}, {"error", after.message}, {"duration_seconds", std::chrono::duration<double>(after.took).count()}});
    return;
  }
  log_.info("dependency.up", what + (before.status == Status::failed ? " is back" : " is there"),
            {{"kind", after.kind}, {"name", after.name}, {"duration_seconds", std::chrono::duration<double>(after.took).count()}});
}

std::vector<DependencyState> Dependencies::states() const {
  const std::scoped_lock lock(shared_->mutex);
  std::vector<DependencyState> states;
  states.reserve(shared_->watches.size());
  for (const auto& watch : shared_->watches) states.push_back(watch->state);
  return states;
}

void Dependencies::wait_for_first(std::chrono::milliseconds at_most) const {
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait_for(lock, at_most, [&] {
    return std::all_of(shared_->watches.begin(), shared_->watches.end(), [](const auto& watch) { return watch->was_looked_at; });
  });
}

}  // namespace heimdall
