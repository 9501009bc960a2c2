#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/environment.h"
#include "base/error.h"

namespace heimdall {

// Tells the service manager how the service is (sd_notify(3): datagrams to $NOTIFY_SOCKET). Without one all calls do nothing. Thread-safe.
class ServiceManager {
 public:
  static ServiceManager from(const Environment& environment);

  void ready(std::string_view status) const;
  void reloading() const;
  void stopping(std::chrono::milliseconds at_most) const;
  void status(std::string_view text) const;
  void alive() const;  // WATCHDOG=1
  // How often alive() must come at least (half of $WATCHDOG_USEC); nullopt: nobody waits for it.
  std::optional<std::chrono::milliseconds> watchdog() const { return watchdog_; }

 private:
  void send(std::string_view text) const;
  std::string socket_;  // empty: none
  std::optional<std::chrono::milliseconds> watchdog_;
};

}  // namespace heimdall
