#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/environment.h"

namespace heimdall {

// Tells the service manager how the service is (sd_notify(3): datagrams to $NOTIFY_SOCKET, a path or, with '@', an abstract name). Without one, and where it
// cannot be reached, all calls do nothing: there is nobody else to tell. Thread-safe; cheap to copy.
class ServiceManager {
 public:
  // Opens its socket at once, so that it can still be told when the process has no file descriptors left.
  static ServiceManager from(const Environment& environment);

  void ready(std::string_view status) const;
  // Followed by ready().
  void reloading() const;
  // The end may take so long: more than the unit's TimeoutStopSec=, perhaps.
  void stopping(std::chrono::milliseconds at_most) const;
  // One line for `systemctl status`.
  void status(std::string_view text) const;
  void alive() const;  // WATCHDOG=1
  // How often alive() must come at least (half of $WATCHDOG_USEC); nullopt: nobody waits for it.
  std::optional<std::chrono::milliseconds> watchdog() const { return watchdog_; }

 private:
  class Socket;
  void send(std::string_view text) const;

  std::shared_ptr<const Socket> socket_;  // null: none
  std::optional<std::chrono::milliseconds> watchdog_;
};

}  // namespace heimdall
