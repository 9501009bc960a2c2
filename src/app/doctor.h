#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "app/config/config.h"
#include "base/clock.h"
#include "ports/progress.h"
#include "ports/store_traffic.h"

namespace heimdall {

// One thing doctor tried.
struct Check {
  enum class Status { ok, warning, failed };
  std::string name;  // "state", "store.media", "references.photos.1", "mapping.photos", ...
  Status status = Status::ok;
  std::string message;
  std::string fix;  // what to do; empty if all is well
};

enum class Probe { yes, no };  // whether doctor may write a file of its own into the stores

// Whether doctor may take the locks of a sweep for a moment, and ask the store to delete something that is not there.
enum class TryDeleting { yes, no };

struct DoctorRequest {
  std::vector<std::string> buckets;  // none: all
  Probe probe = Probe::no;
  TryDeleting deleting = TryDeleting::yes;
};

// Tries every store, permission, clock, reference source and mapping, and calls `report` for each check as it is done; a failed check
// never keeps the others from being tried. Changes nothing but what Probe::yes writes and removes. Once `stop` is requested it reports no more. `traffic`, if there
// is one, is told of every request to the stores.
void doctor(const Config& config, const DoctorRequest& request, Clock& clock, Progress& progress,
            const std::function<void(const Check&)>& report, std::stop_token stop, StoreTraffic* traffic = nullptr);

}  // namespace heimdall
