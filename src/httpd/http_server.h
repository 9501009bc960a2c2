#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace heimdall {

struct ServerRequest {
  std::string method;  // "GET", ...; a HEAD comes as GET
  std::string path;    // percent-decoded, without the query; begins with '/'
  std::map<std::string, std::string> query;    // decoded, '+' is a blank; the last one of a name wins
  std::map<std::string, std::string> headers;  // names in lower case; a repeated one is joined by ", "
  std::string body;
  std::string peer;  // "127.0.0.1:4711"

  // Empty if there is none.
  std::string_view header(std::string_view lower_case_name) const;
  std::optional<std::string> parameter(const std::string& name) const;
};

// A body without an end known beforehand. The server calls take() on its own threads.
class ServerStream {
 public:
  virtual ~ServerStream() = default;
  // What there is to send now: text, an empty one if nothing yet (the connection then sleeps until wake() or the next heartbeat), nullopt at the end.
  // Never called by two threads at once, and never again after the client has left or the server has begun to stop: then the stream is let go.
  virtual std::optional<std::string> take() = 0;
  // Sent when nothing was said for `heartbeat`: tells whether a client that vanished without a word is still there. An SSE comment, for example.
  virtual std::string heartbeat() { return ""; }
  // Called once, before the first take(): `wake` may be called from any thread, at any time, for as long as the stream lives and after.
  virtual void on_wake(std::function<void()> wake) = 0;
};

struct ServerResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};  // one with a line break in it is left out
  std::shared_ptr<const std::string> body = {};  // shared: a page that is served again and again is not copied
  std::shared_ptr<ServerStream> stream = {};     // instead of `body`

  static ServerResponse text(int status, std::string content_type, std::string body);
};

// Answers a request by calling `respond` once, now or later, on any thread; it must not block. A `respond` that is destroyed without a call answers 500, and so
// does an exception. What is answered after the client has left, or after the server has stopped, is dropped; a client that closes its sending side has left.
using ServerHandler = std::function<void(const ServerRequest& request, std::function<void(ServerResponse)> respond)>;

struct HttpServerOptions {
  std::string listen = "127.0.0.1:8001";  // host:port or [v6]:port; port 0 takes any
  std::size_t max_body_bytes = std::size_t{1} << 20;        // more is 413
  std::size_t max_head_bytes = std::size_t{32} << 10;       // more is 431, or 414 if already the first line is longer
  unsigned max_connections = 4096;                          // further ones are closed at once; bounded by the process's limit of files less 64, too
  std::chrono::seconds idle_timeout = std::chrono::seconds(30);  // of a connection without traffic
  // A request must have come in whole so long after its connection was opened, or after the answer before it.
  std::chrono::seconds receive_timeout = std::chrono::seconds(60);
  std::chrono::milliseconds heartbeat = std::chrono::seconds(15);
  unsigned threads = 2;
};

// HTTP/1.1 and 1.0 over libmicrohttpd (epoll). What two readers could understand differently (Content-Length with Transfer-Encoding, several lengths, HTTP/1.1
// without one Host, a header that goes on in the next line, a bare LF, NUL, ...) is answered 400 and the connection closed. A request with a chunked body is answered, and
// its connection closed. Every answer has `Cache-Control: no-store` (unless the handler says otherwise) and `X-Content-Type-Options: nosniff`, but for those that libmicrohttpd gives
// itself to a head that it cannot read. HEAD is GET without the body. See docs/adr/0029-http-server.md. Thread-safe.
class HttpServer {
 public:
  // invalid_argument if `listen` cannot be read or the name not resolved; failed_precondition if the port is taken; permission_denied; internal if threads or files
  // are lacking. Nothing is left behind then.
  static Result<std::unique_ptr<HttpServer>> start(HttpServerOptions options, ServerHandler handler);
  // stop(), if it was not called.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;
  // "127.0.0.1:8001", as it is bound.
  std::string address() const;
  bool is_loopback() const;
  // Those that are open now.
  unsigned connections() const;

  // Takes no more connections, ends streams, waits for answers under way for at most `grace`, then closes all. No thread or file of the server is left when it returns.
  // Not to be called by the handler. A second call waits for the first one.
  void stop(std::chrono::milliseconds grace = std::chrono::seconds(2));

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace heimdall
