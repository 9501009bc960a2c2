#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace heimdall {

enum class HttpMethod { get, head, put, post, del };
std::string_view to_string(HttpMethod method);

struct HttpHeader {
  std::string name;
  std::string value;
};

enum class Connection {
  any,    // a kept one if there is one
  fresh,  // never a kept one: libcurl sends a request again by itself when a kept connection turns out to be dead (invariant 12)
};

// How a request ended, for those who count.
struct HttpEnd {
  int status = 0;                      // of a complete answer; 0: there was none
  std::optional<ErrorCode> error = {};  // why there was none
  bool timed_out = false;              // that is why
  std::chrono::nanoseconds took{0};    // from its turn on: connecting, sending and the answer
};

struct HttpRequest {
  HttpMethod method = HttpMethod::get;
  std::string url;  // percent-encoded; sent exactly as it is, dots and slashes included
  std::vector<HttpHeader> headers = {};
  std::string body = {};
  std::chrono::milliseconds timeout = std::chrono::seconds(20);  // of the whole exchange
  Connection connection = Connection::any;
  std::size_t max_body_bytes = std::size_t{64} << 20;  // of the answer; more is an error, not a cut answer
  // Asked when the connection stands and the request is about to leave; false: it does not. Called on the client's own thread.
  std::function<bool()> may_send = {};
  // Told once, when the request has ended in whatever way, before its future is ready. Called on the client's own thread.
  std::function<void(const HttpEnd&)> on_end = {};
};

struct HttpResponse {
  int status = 0;
  std::vector<HttpHeader> headers;
  std::string body;

  // The value of the first header of that name, whatever its case; empty if there is none.
  std::string_view header(std::string_view name) const;
};

struct HttpClientOptions {
  std::string ca_file = {};  // PEM bundle instead of the system's; empty: the system's, or $SSL_CERT_FILE
  unsigned max_connections = 16;
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(5);
  std::string user_agent = "heimdall-storage";
};

// HTTP/1.1 over libcurl's multi interface, on one thread of its own. Redirects are answers like any other. Thread-safe.
//
// A complete answer, whatever its status, is a value; complete means that its headers ended, and that Content-Length or chunks marked the
// end of its body. Errors tell what is known about the request:
//   unavailable         it did not leave as a whole, or did not reach a server (name, refused, TLS, connect time-out): safe to send again
//   in_doubt            it left, and no complete answer came (time-out, reset, half a body): the server may have acted on it
//   cancelled           may_send said no: nothing was sent
//   permission_denied   the server's certificate is not trusted
//   invalid_argument    the URL cannot be used
//   corrupt             the answer exceeds max_body_bytes or is no HTTP: the request left, as with in_doubt
class HttpClient {
 public:
  static Result<std::unique_ptr<HttpClient>> create(HttpClientOptions options);
  // Ends what is under way as if it had timed out.
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Starts at once; beyond max_connections requests wait for their turn (their time-out runs from their start).
  std::future<Result<HttpResponse>> send(HttpRequest request);
  Result<HttpResponse> perform(HttpRequest request) { return send(std::move(request)).get(); }

 private:
  class Loop;
  explicit HttpClient(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace heimdall
