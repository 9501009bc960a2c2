#include "store/s3/bucket_hold.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <vector>

#include "base/format.h"
#include "io/fd.h"
#include "io/sha256.h"

namespace heimdall {

namespace {

class SocketHold final : public BucketHold {
 public:
  explicit SocketHold(std::vector<UniqueFd> sockets) : sockets_(std::move(sockets)) {}

 private:
  std::vector<UniqueFd> sockets_;
};

struct Address {
  sockaddr_un name = {};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }
};

Address address_of(const std::string& name) {
  Address address;
  address.name.sun_family = AF_UNIX;
  // The leading NUL makes it abstract: it lives in the kernel, not in the file system.
  const std::string path = format("{}heimdall-storage/{}", '\0', sha256_hex(name));
  static_assert(sizeof address.name.sun_path >= 1 + 17 + 64);
  std::memcpy(address.name.sun_path, path.data(), path.size());
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  return address;
}

// The process that listens there.
std::optional<pid_t> holder_of(const Address& address) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket || connect(socket.get(), address.get(), address.size) != 0) return std::nullopt;
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0) return std::nullopt;
  return peer.pid;
}

}  // namespace

Result<std::unique_ptr<BucketHold>> hold_names(std::span<const std::string> names, const std::string& shown) {
  std::vector<UniqueFd> sockets;
  for (const std::string& name : names) {
    const Address address = address_of(name);
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) return system_error(errno, "cannot create the socket that holds the bucket");
    if (bind(socket.get(), address.get(), address.size) != 0) {
      if (errno != EADDRINUSE) return system_error(errno, "cannot hold the bucket");
      const auto pid = holder_of(address);
      return Error{ErrorCode::locked,
                   pid ? format("process {} is deleting in {}", *pid, shown) : format("another process is deleting in {}", shown),
                   "wait until it has ended; the lock goes with the process"};
    }
    // Only a socket that listens tells others whose it is.
    if (listen(socket.get(), 16) != 0) return system_error(errno, "cannot hold the bucket");
    sockets.push_back(std::move(socket));
  }
  return std::unique_ptr<BucketHold>(std::make_unique<SocketHold>(std::move(sockets)));
}

}  // namespace heimdall
