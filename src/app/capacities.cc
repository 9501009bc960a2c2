#include "app/capacities.h"

#include <algorithm>

#include "app/open_store.h"

namespace heimdall {

namespace {

Result<std::optional<StoreCapacity>> read_capacity(const StoreConfig& store, const BucketPolicy& bucket, Clock& clock, StoreTraffic* traffic,
                                                   const std::stop_token& stop) {
  TRY_ASSIGN(const auto reader, open_reader(store, bucket, clock, traffic, stop));
  return reader->capacity();
}

}  // namespace

std::vector<std::pair<std::string, Result<std::optional<StoreCapacity>>>> read_capacities(const Config& config, Clock& clock, StoreTraffic* traffic,
                                                                                          const std::stop_token& stop) {
  std::vector<std::pair<std::string, Result<std::optional<StoreCapacity>>>> found;
  for (const StoreConfig& store : config.stores) {
    const auto user = std::ranges::find(config.buckets, store.name, &BucketConfig::store);
    if (user != config.buckets.end()) found.emplace_back(store.name, read_capacity(store, user->policy, clock, traffic, stop));
  }
  return found;
}

}  // namespace heimdall
