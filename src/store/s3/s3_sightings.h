#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "model/object.h"

namespace heimdall {

// What a store saw of objects a moment ago, so that a batch that was compared for the sweep is not compared twice. Bounded. Thread-safe.
class S3Sightings {
 public:
  static constexpr std::chrono::seconds kFresh{2};
  static constexpr std::size_t kMost = 16'384;  // of all batches that are under way

  // `since` is from before the store was asked.
  void add(const ObjectMeta& object, BootTime since) {
    const std::scoped_lock lock(mutex_);
    if (seen_.size() >= kMost) std::erase_if(seen_, [&](const auto& old) { return since - old.second.since >= kFresh; });
    if (seen_.size() >= kMost) seen_.clear();
    seen_.insert_or_assign(object.key.bytes(), Sighting{object, since});
  }
  // When it was last seen to be this very object, if that is a moment ago.
  std::optional<BootTime> saw(const ObjectMeta& object, BootTime now) const {
    const std::scoped_lock lock(mutex_);
    const auto found = seen_.find(object.key.bytes());
    const bool is_fresh = found != seen_.end() && found->second.object == object && now - found->second.since < kFresh;
    return is_fresh ? std::optional(found->second.since) : std::nullopt;
  }
  // It is about to be deleted: what was seen before says nothing any more.
  void forget(const ObjectKey& key) {
    const std::scoped_lock lock(mutex_);
    seen_.erase(key.bytes());
  }

 private:
  struct Sighting {
    ObjectMeta object;
    BootTime since;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Sighting, std::less<>> seen_;
};

}  // namespace heimdall
