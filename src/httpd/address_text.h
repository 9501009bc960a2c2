#pragma once

#include <sys/socket.h>

#include <string>

namespace heimdall {

// "127.0.0.1:4711", "[::1]:4711"; an IPv4 address seen through an IPv6 socket as what it is.
std::string address_text(const sockaddr& address);

}  // namespace heimdall
