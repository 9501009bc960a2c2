#pragma once

#include <chrono>
#include <optional>

#include "daemon/service.h"

namespace heimdall {

// SIGTERM and SIGINT ask a service to stop, SIGHUP to read its configuration again. A second SIGTERM or SIGINT ends the process at once with 130 (what is in
// doubt then is looked up by the next start). Construct it before any thread is started; SIGPIPE is ignored from then on.
class ServiceSignals {
 public:
  ServiceSignals();
  ServiceSignals(const ServiceSignals&) = delete;
  ServiceSignals& operator=(const ServiceSignals&) = delete;
  std::optional<ServiceCommand> next(std::chrono::milliseconds at_most);
};

}  // namespace heimdall
