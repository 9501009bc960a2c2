#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace heimdall::testing {

struct TestRequest {
  std::string method, target;
  std::string head;  // all lines up to the empty one
  std::string body;
};

// The server's end of one connection.
class TestConnection {
 public:
  TestConnection(int fd, int index) : fd_(fd), index_(index) {}
  TestConnection(const TestConnection&) = delete;
  TestConnection& operator=(const TestConnection&) = delete;
  ~TestConnection() { close(); }

  // Connections are counted from 0.
  int index() const { return index_; }

  // The next whole request; nullopt when the client has closed.
  std::optional<TestRequest> next() {
    while (true) {
      if (const auto end = read_.find("\r\n\r\n"); end != std::string::npos) {
        const std::string head = read_.substr(0, end + 2);
        const std::size_t length = content_length(head);
        if (read_.size() >= end + 4 + length) {
          const auto target = head.find(' ') + 1;
          TestRequest request{head.substr(0, target - 1), head.substr(target, head.find(' ', target) - target), head,
                              read_.substr(end + 4, length)};
          read_.erase(0, end + 4 + length);
          return request;
        }
      }
      if (!receive()) return std::nullopt;
    }
  }
  // Reads until the client has closed.
  void drain() { while (receive()) {} }
  bool receive() {
    char buffer[65536];
    const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    read_.append(buffer, static_cast<std::size_t>(n));
    received_ += static_cast<std::size_t>(n);
    return true;
  }
  std::size_t received() const { return received_; }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void answer(int status, std::string_view body) {
    write("HTTP/1.1 " + std::to_string(status) + " Said\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
          std::string(body));
  }
  // With RST instead of FIN.
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void shut_down() { ::shutdown(fd_, SHUT_RDWR); }

 private:
  void close() {
    if (!closed_) ::close(fd_);
    closed_ = true;
  }
  static std::size_t content_length(const std::string& head) {
    const auto at = head.find("\r\nContent-Length: ");
    return at == std::string::npos ? 0 : std::strtoull(head.c_str() + at + 18, nullptr, 10);
  }

  int fd_, index_;
  bool closed_ = false;
  std::string read_;
  std::atomic<std::size_t> received_ = 0;
};

// An HTTP server on 127.0.0.1 that says on each connection what its script says, on a thread per connection.
class TestServer {
 public:
  using Script = std::function<void(TestConnection&)>;

  explicit TestServer(Script script) : script_(std::move(script)), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, any, size) != 0 || listen(listener_, 128) != 0 || getsockname(listener_, any, &size) != 0) std::abort();
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  // Waits for the scripts: the clients must have closed, or the scripts must end by themselves.
  ~TestServer() { stop(); }

  std::string url(std::string_view path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
  }
  int port() const { return port_; }
  int connections() const { return accepted_; }

  // Serves whoever has connected by now, takes no more, and waits for the end of all; the figures are final then.
  void stop() {
    if (!acceptor_.joinable()) return;
    // Those who connect are accepted in their order, so this one comes after all of them.
    const int last = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in own = loopback(0), server = loopback(port_);
    socklen_t size = sizeof own;
    if (bind(last, reinterpret_cast<sockaddr*>(&own), size) != 0 || getsockname(last, reinterpret_cast<sockaddr*>(&own), &size) != 0) std::abort();
    last_port_ = own.sin_port;
    if (connect(last, reinterpret_cast<sockaddr*>(&server), sizeof server) != 0) std::abort();
    acceptor_.join();
    ::close(last);
    ::close(listener_);
    for (Served& served : served_) served.thread.join();
  }
  std::size_t received() const {
    std::size_t sum = 0;
    for (const Served& served : served_) sum += served.received;
    return sum;
  }

 private:
  struct Served {
    std::atomic<std::size_t> received = 0;
    std::thread thread;
  };

  static sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return address;
  }

  void accept_all() {
    while (true) {
      sockaddr_in peer{};
      socklen_t size = sizeof peer;
      const int fd = accept(listener_, reinterpret_cast<sockaddr*>(&peer), &size);
      if (fd < 0) return;
      if (peer.sin_port == last_port_) {
        ::close(fd);
        return;
      }
      Served& served = served_.emplace_back();
      served.thread = std::thread([this, fd, &served, index = accepted_++] {
        TestConnection connection(fd, index);
        script_(connection);
        served.received = connection.received();
      });
    }
  }

  Script script_;
  int listener_;
  int port_ = 0;
  std::atomic<int> accepted_ = 0;
  std::atomic<in_port_t> last_port_ = 0;  // network order; of the connection that ends the acceptor
  std::list<Served> served_;  // touched by the acceptor, and by others once it has ended
  std::thread acceptor_;
};

}  // namespace heimdall::testing
