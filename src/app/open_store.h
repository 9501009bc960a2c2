#pragma once

#include <memory>
#include <stop_token>

#include "app/config/config.h"
#include "base/clock.h"
#include "base/error.h"
#include "model/policy.h"
#include "ports/object_store.h"
#include "ports/store_traffic.h"

namespace heimdall {

// The store of a bucket as the configuration says, for planning: it cannot delete. Contacts no server yet where it has one; then `traffic`, if there is one, is
// told of each request under the store's name, for as long as the store lives. Once `stop` is requested, what would wait for the server is given up: cancelled
// (S3Options::stop).
Result<std::unique_ptr<ObjectReader>> open_reader(const StoreConfig& store, const BucketPolicy& bucket, Clock& clock, StoreTraffic* traffic = nullptr,
                                                  std::stop_token stop = {});

// The same with the power to delete.
Result<std::unique_ptr<ObjectStore>> open_store(const StoreConfig& store, const BucketPolicy& bucket, Clock& clock, StoreTraffic* traffic = nullptr,
                                                std::stop_token stop = {});

}  // namespace heimdall
