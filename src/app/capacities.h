#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "app/config/config.h"
#include "base/clock.h"
#include "base/error.h"
#include "ports/object_store.h"
#include "ports/store_traffic.h"

namespace heimdall {

// What the disks behind each store hold that a bucket uses, by its configured name, asked one after the other: some five seconds at most for each. Errors
// are those of ObjectReader::capacity(); cancelled, once `stop` is requested.
std::vector<std::pair<std::string, Result<std::optional<StoreCapacity>>>> read_capacities(const Config& config, Clock& clock, StoreTraffic* traffic = nullptr,
                                                                                          const std::stop_token& stop = {});

}  // namespace heimdall
