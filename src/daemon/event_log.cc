#include "daemon/event_log.h"

#include <algorithm>
#include <map>
#include <utility>

namespace heimdall {

struct EventLog::Waiters {
  std::mutex mutex;
  std::uint64_t last = 0;
  std::map<std::uint64_t, std::function<void()>> wakes;
};

namespace {

std::size_t bytes_of(const RunEvent& event) { return sizeof(event) + event.run_id.size() + event.type.size() + event.json.size(); }

// Microseconds: no service adds a million events a second for long, so the next life begins above; and the number stays exact in a double.
std::uint64_t first_id(const Clock& clock) {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(clock.now().time_since_epoch()).count();
  return now > 0 ? static_cast<std::uint64_t>(now) : 0;
}

}  // namespace

EventLog::EventLog(const Clock& clock, std::size_t keep, std::size_t keep_bytes)
    : last_id_(first_id(clock)), keep_(std::max<std::size_t>(keep, 1)), keep_bytes_(keep_bytes), waiters_(std::make_shared<Waiters>()) {}

void EventLog::add(std::string_view run_id, std::string_view type, std::string json) {
  {
    const std::scoped_lock lock(mutex_);
    events_.push_back({++last_id_, std::string(run_id), std::string(type), std::move(json)});
    bytes_ += bytes_of(events_.back());
    while (events_.size() > keep_ || (events_.size() > 1 && bytes_ > keep_bytes_)) {
      bytes_ -= bytes_of(events_.front());
      events_.pop_front();
    }
  }
  const std::scoped_lock lock(waiters_->mutex);
  for (const auto& [id, wake] : waiters_->wakes) wake();
}

EventLog::Batch EventLog::after(std::uint64_t after, std::string_view run_id, std::size_t limit) const {
  const std::scoped_lock lock(mutex_);
  Batch batch;
  batch.next = last_id_;
  const std::uint64_t before_first = last_id_ - events_.size();
  if (after > last_id_) batch.lost_some = true;
  else if (after > 0 && after < before_first) batch.lost_some = true;
  const std::uint64_t from = after > last_id_ ? before_first : std::max(after, before_first);
  for (auto i = static_cast<std::size_t>(from - before_first); i < events_.size(); ++i) {
    if (!run_id.empty() && events_[i].run_id != run_id) continue;
    if (batch.events.size() == limit) {
      batch.next = batch.events.empty() ? from : batch.events.back().id;
      break;
    }
    batch.events.push_back(events_[i]);
  }
  return batch;
}

std::uint64_t EventLog::last_id() const {
  const std::scoped_lock lock(mutex_);
  return last_id_;
}

EventLog::Subscription EventLog::subscribe(std::function<void()> wake) {
  std::uint64_t id = 0;
  {
    const std::scoped_lock lock(waiters_->mutex);
    id = ++waiters_->last;
    waiters_->wakes.emplace(id, std::move(wake));
  }
  // Under the lock in which waiters are called: none is called once its subscription is gone.
  return Subscription(this, [waiters = waiters_, id](void*) {
    const std::scoped_lock lock(waiters->mutex);
    waiters->wakes.erase(id);
  });
}

}  // namespace heimdall
