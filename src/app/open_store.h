#pragma once

#include <memory>
#include <string>

#include "app/config/config.h"
#include "base/clock.h"
#include "base/error.h"
#include "ports/object_store.h"

namespace heimdall {

// The store of a bucket as the configuration says, for planning: it cannot delete. Contacts no server yet where it has one.
Result<std::unique_ptr<ObjectReader>> open_reader(const StoreConfig& store, const std::string& bucket, Clock& clock);

// The same with the power to delete.
Result<std::unique_ptr<ObjectStore>> open_store(const StoreConfig& store, const std::string& bucket, Clock& clock);

}  // namespace heimdall
