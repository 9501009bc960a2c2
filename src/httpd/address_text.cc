#include "httpd/address_text.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

#include "base/format.h"

namespace heimdall {

namespace {

std::string ipv4_text(const void* address, in_port_t port) {
  char text[INET_ADDRSTRLEN] = "";
  inet_ntop(AF_INET, address, text, sizeof text);
  return format("{}:{}", text, ntohs(port));
}

}  // namespace

std::string address_text(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    return ipv4_text(&v4.sin_addr, v4.sin_port);
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return ipv4_text(&v6.sin6_addr.s6_addr[12], v6.sin6_port);
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return format("[{}]:{}", text, ntohs(v6.sin6_port));
  }
  return "unknown";
}

}  // namespace heimdall
