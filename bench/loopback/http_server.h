#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "loopback/http_message.h"

namespace heimdall::loopback {

// HTTP/1.1 on 127.0.0.1, for clients that behave: a request has a Content-Length or no body, and no answer is cut short. One thread per
// reactor; connections are dealt to them in turn. An answer with a delay holds nobody up. Delays are rounded up to milliseconds.
class HttpServer {
 public:
  struct Options {
    std::uint16_t port = 0;  // 0: any that is free
    unsigned threads = 1;
    std::string name;        // the header Server
  };
  // internal if the port cannot be had. `handler` must live longer.
  static Result<std::unique_ptr<HttpServer>> start(Options options, Handler& handler);
  // Closes all connections.
  ~HttpServer();

  std::uint16_t port() const { return port_; }

 private:
  class Reactor;
  class Connection;
  HttpServer(std::uint16_t port, std::vector<std::unique_ptr<Reactor>> reactors);

  const std::uint16_t port_;
  std::vector<std::unique_ptr<Reactor>> reactors_;
};

}  // namespace heimdall::loopback
