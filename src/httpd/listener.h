#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "httpd/request_text.h"
#include "io/fd.h"

namespace heimdall {

// A socket that listens: close-on-exec, non-blocking. What is accepted from it notices a peer that has vanished.
struct Listener {
  UniqueFd fd;
  std::string address;  // as it is bound: "127.0.0.1:8001", "[::1]:8001"
  std::uint16_t port = 0;
  bool is_loopback = false;
};

// invalid_argument: the host is unknown here; failed_precondition: the port is taken; permission_denied; internal.
Result<Listener> listen_on(const ListenAddress& where);

}  // namespace heimdall
