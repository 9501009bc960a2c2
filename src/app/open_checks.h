#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "app/config/config.h"
#include "base/clock.h"
#include "base/error.h"
#include "ports/store_traffic.h"

namespace heimdall {

// A look at one thing that runs need from outside.
struct DependencyCheck {
  std::string kind;  // "store", "database", "list"
  std::string name;  // as configured; of a list its path
  // Whether it is there for us now: some five seconds at most, nothing is tried again, secrets are read anew. Errors as of ObjectReader::ping() and
  // ReferenceSource::ping(), without the name. Owns what it needs, may be called again and again, and is not thread-safe.
  std::function<Result<void>(std::stop_token)> check;
};

// One check for each store that a bucket uses (of the first one that does), each database and each file of keys in use. Contacts nothing.
// `clock` and `traffic` must outlive the checks.
std::vector<DependencyCheck> dependency_checks(const Config& config, Clock& clock, StoreTraffic* traffic = nullptr);

}  // namespace heimdall
