#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "app/config/config.h"
#include "base/clock.h"
#include "base/environment.h"
#include "base/error.h"
#include "base/log.h"

namespace heimdall {

// What a signal, or a test, asks of a running service.
enum class ServiceCommand { stop, reload };

struct ServiceOptions {
  Config config;
  std::function<Result<Config>()> reload;  // the configuration once more
  Clock& clock;
  Log& log;
  Environment environment;
  // Waits until something is asked, at most so long; nullopt: nothing was.
  std::function<std::optional<ServiceCommand>(std::chrono::milliseconds at_most)> next_command;
};

// Runs until it is asked to stop; then the batch under way is finished and journalled. Errors are those that keep it from starting: the
// state directory (`locked` if another service uses it), the port. Stores and databases that are away keep it from nothing.
Result<void> serve(ServiceOptions options);

}  // namespace heimdall
