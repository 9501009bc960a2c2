#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "io/fd.h"

namespace heimdall::testing {

inline constexpr std::chrono::seconds kPatience{20};

// Waits until `holds`, for kPatience at the most. False: it never did.
inline bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

struct TestAnswer {
  int status = 0;
  std::string head;  // up to the empty line
  std::string body;  // without its chunks' frames

  bool has_line(std::string_view line) const { return head.find("\r\n" + std::string(line) + "\r\n") != std::string::npos; }
};

// A client that says exactly what the test says, over one connection to 127.0.0.1.
class TestClient {
 public:
  explicit TestClient(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) { connect_to(port); }
  TestClient(std::uint16_t port, UniqueFd socket) : fd_(std::move(socket)) { connect_to(port); }

  bool is_connected() const { return connected_; }
  int fd() const { return fd_.get(); }

  // False if the server has closed.
  bool say(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  bool get(std::string_view target) { return say("GET " + std::string(target) + " HTTP/1.1\r\nHost: here\r\n\r\n"); }
  void end_of_sending() { ::shutdown(fd_.get(), SHUT_WR); }
  void hang_up() { fd_.reset(); }

  // The next answer; nullopt if the server closes before its end, or says nothing for so long.
  std::optional<TestAnswer> answer(std::chrono::milliseconds patience = kPatience) {
    const auto head_end = read_to("\r\n\r\n", patience);
    if (!head_end) return std::nullopt;
    TestAnswer answer{.status = 0, .head = read_.substr(0, *head_end + 2), .body = ""};
    read_.erase(0, *head_end + 4);
    answer.status = std::atoi(answer.head.c_str() + std::string_view("HTTP/1.1 ").size());
    if (answer.has_line("Transfer-Encoding: chunked")) {
      while (true) {
        auto part = chunk(patience);
        if (!part) return std::nullopt;
        if (part->empty()) return answer;
        answer.body += *part;
      }
    }
    const auto at = answer.head.find("\r\nContent-Length: ");
    const std::size_t length = at == std::string::npos ? 0 : std::strtoull(answer.head.c_str() + at + 18, nullptr, 10);
    while (read_.size() < length) {
      if (!receive(patience)) return std::nullopt;
    }
    answer.body = read_.substr(0, length);
    read_.erase(0, length);
    return answer;
  }
  // The head of an answer, without its body.
  std::optional<std::string> head(std::chrono::milliseconds patience = kPatience) {
    const auto end = read_to("\r\n\r\n", patience);
    if (!end) return std::nullopt;
    std::string text = read_.substr(0, *end + 2);
    read_.erase(0, *end + 4);
    return text;
  }
  // The next chunk of a body; empty: the last one.
  std::optional<std::string> chunk(std::chrono::milliseconds patience = kPatience) {
    const auto size_end = read_to("\r\n", patience);
    if (!size_end) return std::nullopt;
    const std::size_t size = std::strtoull(read_.c_str(), nullptr, 16);
    while (read_.size() < *size_end + 2 + size + 2) {
      if (!receive(patience)) return std::nullopt;
    }
    std::string text = read_.substr(*size_end + 2, size);
    read_.erase(0, *size_end + 2 + size + 2);
    return text;
  }
  // True once the server has closed; what it says until then is kept in said().
  bool is_closed(std::chrono::milliseconds patience = kPatience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (!receive(patience)) return closed_;
    }
    return false;
  }
  bool hears(std::chrono::milliseconds patience) { return !read_.empty() || receive(patience); }
  const std::string& said() const { return read_; }

 private:
  void connect_to(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    connected_ = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  std::optional<std::size_t> read_to(std::string_view mark, std::chrono::milliseconds patience) {
    while (true) {
      if (const auto at = read_.find(mark); at != std::string::npos) return at;
      if (!receive(patience)) return std::nullopt;
    }
  }
  bool receive(std::chrono::milliseconds patience) {
    pollfd file{fd_.get(), POLLIN, 0};
    if (poll(&file, 1, static_cast<int>(patience.count())) <= 0) return false;
    char buffer[65536];
    const ssize_t n = recv(fd_.get(), buffer, sizeof buffer, 0);
    closed_ = n <= 0;
    if (n > 0) read_.append(buffer, static_cast<std::size_t>(n));
    return n > 0;
  }

  UniqueFd fd_;
  bool connected_ = false;
  bool closed_ = false;
  std::string read_;
};

}  // namespace heimdall::testing
