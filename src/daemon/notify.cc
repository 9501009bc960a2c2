#include "daemon/notify.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <ctime>

#include "base/format.h"
#include "io/fd.h"

namespace heimdall {

class ServiceManager::Socket {
 public:
  static std::shared_ptr<const Socket> open(std::string_view name) {
    sockaddr_un address{};
    if (name.size() < 2 || name.size() > sizeof address.sun_path - 1 || (name[0] != '/' && name[0] != '@')) return nullptr;
    UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd) return nullptr;
    // A manager that reads no more must not hold up the service for good.
    const timeval patience{1, 0};
    if (setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0) return nullptr;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    socklen_t length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';  // abstract: the name ends with its length
    else ++length;
    return std::shared_ptr<const Socket>(new Socket(std::move(fd), address, length));
  }

  void send(std::string_view text) const {
    static_cast<void>(sendto(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address_), length_));
  }

 private:
  Socket(UniqueFd fd, const sockaddr_un& address, socklen_t length) : fd_(std::move(fd)), address_(address), length_(length) {}
  UniqueFd fd_;
  sockaddr_un address_;
  socklen_t length_;
};

namespace {

std::optional<std::uint64_t> number_in(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  return error == std::errc() && end == text->data() + text->size() ? std::optional(number) : std::nullopt;
}

// An assignment ends with its line.
std::string on_one_line(std::string_view text) {
  std::string line(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

// The manager compares it with its own clock: CLOCK_MONOTONIC, which the product measures nothing by.
std::uint64_t monotonic_microseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

std::uint64_t microseconds(std::chrono::milliseconds length) { return static_cast<std::uint64_t>(std::chrono::microseconds(length).count()); }

}  // namespace

ServiceManager ServiceManager::from(const Environment& environment) {
  ServiceManager manager;
  manager.socket_ = Socket::open(environment("NOTIFY_SOCKET").value_or(""));
  const auto interval = number_in(environment("WATCHDOG_USEC"));
  const auto pid = number_in(environment("WATCHDOG_PID"));
  // Set for another process: inherited, not meant for us.
  const bool is_for_us = !pid || *pid == static_cast<std::uint64_t>(getpid());
  if (manager.socket_ && interval && *interval > 0 && is_for_us) {
    manager.watchdog_ = std::chrono::milliseconds(std::max<std::uint64_t>(*interval / 2000, 1));
  }
  return manager;
}

void ServiceManager::ready(std::string_view status) const { send(format("READY=1\nSTATUS={}", on_one_line(status))); }
void ServiceManager::reloading() const { send(format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_microseconds())); }
void ServiceManager::stopping(std::chrono::milliseconds at_most) const { send(format("STOPPING=1\nEXTEND_TIMEOUT_USEC={}", microseconds(at_most))); }
void ServiceManager::status(std::string_view text) const { send("STATUS=" + on_one_line(text)); }
void ServiceManager::alive() const { send("WATCHDOG=1"); }

void ServiceManager::send(std::string_view text) const {
  if (socket_) socket_->send(text);
}

}  // namespace heimdall
