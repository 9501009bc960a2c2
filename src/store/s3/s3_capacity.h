#pragma once

#include <optional>
#include <string_view>

#include "ports/object_store.h"

namespace heimdall {

// What MinIO's storageinfo (`GET /minio/admin/v3/storageinfo`) says about the disks of a server: what they hold and have used, all of them, and what is free
// on those that carry data, the others being needed for the parity. nullopt if it is none of that shape, or no disk tells its size.
std::optional<StoreCapacity> parse_storage_info(std::string_view json);

}  // namespace heimdall
