#include "httpd/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "base/format.h"
#include "base/text.h"
#include "httpd/address_text.h"

namespace heimdall {

namespace {

constexpr int kBacklog = 512;
// A peer that acknowledges nothing for so long is gone; without anything to acknowledge it is asked after a minute.
constexpr int kUnacknowledgedMilliseconds = 60'000;
constexpr int kProbeAfterSeconds = 60;
constexpr int kProbeEverySeconds = 15;

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Error cannot_listen(const ListenAddress& where, int error) {
  const std::string port_of_host = format("port {} of {}", where.port, printable(where.host));
  switch (error) {
    case EADDRINUSE:
      return {.code = ErrorCode::failed_precondition,
              .message = port_of_host + " is taken by another program",
              .hint = format("find it with `ss -ltnp sport = :{}` and stop it, or listen on another port", where.port)};
    case EACCES:
    case EPERM:
      return {.code = ErrorCode::permission_denied,
              .message = port_of_host + " may not be taken by this user",
              .hint = "ports below 1024 need CAP_NET_BIND_SERVICE: listen on a higher one"};
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return {.code = ErrorCode::invalid_argument,
              .message = format("this machine has no address {}", printable(where.host)),
              .hint = "`ip address` shows those it has; 0.0.0.0 listens on all of IPv4"};
    default: return system_error(error, "cannot listen on " + port_of_host);
  }
}

void set_option(int fd, int level, int name, int value) {
  // Each of them only makes things better: what fails here is no reason not to serve.
  setsockopt(fd, level, name, &value, sizeof value);
}

// The error number, or 0.
int bind_and_listen(const addrinfo& address, UniqueFd& fd) {
  fd = UniqueFd(socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno;
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  // Linux hands these on to what is accepted.
  set_option(fd.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, kProbeAfterSeconds);
  set_option(fd.get(), IPPROTO_TCP, TCP_KEEPINTVL, kProbeEverySeconds);
  set_option(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, kUnacknowledgedMilliseconds);
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  if (bind(fd.get(), address.ai_addr, address.ai_addrlen) != 0 || listen(fd.get(), kBacklog) != 0) return errno;
  return 0;
}

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    return (ntohl(v4.sin_addr.s_addr) >> 24U) == 127;
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address, sizeof v6);
  return address.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

}  // namespace

Result<Listener> listen_on(const ListenAddress& where) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &wanted, &found); error != 0) {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = format("the host '{}' to listen on cannot be found: {}", printable(where.host), gai_strerror(error)),
                 .hint = "write an address of this machine, for example 127.0.0.1"};
  }
  const Addresses addresses(found, &freeaddrinfo);
  UniqueFd fd;
  int error = EADDRNOTAVAIL;
  for (const addrinfo* address = found; address != nullptr && error != 0; address = address->ai_next) {
    const int this_error = bind_and_listen(*address, fd);
    // Of a name with several addresses the one that is taken says more than the one that is not there.
    if (this_error == 0 || error != EADDRINUSE) error = this_error;
  }
  if (error != 0) return cannot_listen(where, error);

  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) return system_error(errno, "cannot tell where the server listens");
  std::string text = address_text(reinterpret_cast<const sockaddr&>(bound));
  TRY_ASSIGN(const ListenAddress parsed, parse_listen(text));
  return Listener{.fd = std::move(fd), .address = std::move(text), .port = parsed.port, .is_loopback = is_loopback(bound)};
}

}  // namespace heimdall
