#include "httpd/http_server.h"

#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <utility>
#include <variant>

#include "base/format.h"
#include "httpd/address_text.h"
#include "httpd/exchange.h"
#include "httpd/listener.h"
#include "httpd/request_head.h"
#include "httpd/request_text.h"

namespace heimdall {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr unsigned kFilesForOthers = 64;
// Of each connection beside the head: what libmicrohttpd keeps of each header, and the head of the answer.
constexpr std::size_t kMemoryBesideHead = std::size_t{16} << 10;
constexpr milliseconds kLookAtClients{1000};
constexpr milliseconds kWaitForFiles{100};
// More is never read at once of a stream.
constexpr std::size_t kStreamBlock = std::size_t{16} << 10;

std::string_view reason(int status) { return MHD_get_reason_phrase_for(static_cast<unsigned>(status)); }

std::string_view hint_for(int status) {
  switch (status) {
    case 400: return "send HTTP/1.1 as RFC 9112 has it, with whatever is special in a path or query percent-encoded, and no %00";
    case 413: return "send a smaller body";
    case 431: return "send fewer or shorter headers, or a shorter query";
    case 503: return "ask again when it is back";
    default: return "ask again; if it stays so, please report it";
  }
}

// `why` is ours and has nothing to escape.
ServerResponse problem(int status, std::string_view why) {
  return ServerResponse::text(status, "application/problem+json",
                              format(R"({{"type":"about:blank","title":"{}","status":{},"detail":"{}","hint":"{}"}})", reason(status), status, why, hint_for(status)));
}

constexpr std::string_view kBodyTooLarge = "the body is too large";

unsigned allowed_connections(unsigned wanted) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return std::max(wanted, 1U);
  const rlim_t free = files.rlim_cur > kFilesForOthers ? files.rlim_cur - kFilesForOthers : 1;
  return static_cast<unsigned>(std::clamp<rlim_t>(wanted, 1, free));
}

// libmicrohttpd has found its own state broken, and goes on into undefined behaviour if this returns.
[[noreturn]] void end_process(void*, const char*, unsigned, const char*) {
  constexpr std::string_view kLast = "heimdall-storage: the HTTP library found its own state broken\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kLast.data(), kLast.size());
  std::abort();
}

enum class Step { head, body, answer };

// One open connection. Made and destroyed by its thread of libmicrohttpd.
struct Connection {
  MHD_Connection* handle = nullptr;
  int fd = -1;
  std::string peer;
  std::atomic<bool> receiving = true;               // no whole request is here yet
  std::atomic<steady_clock::time_point> since{};    // of receiving
  std::shared_ptr<Exchange> exchange;               // set and reset under the lock of the connections
  std::optional<steady_clock::time_point> left_at;  // when it was first seen to have closed its side; the watcher's

  // Of the request at hand, for the connection's thread alone.
  Step step = Step::head;
  const char* target_place = nullptr;
  char* value_place = nullptr;   // see leave_encoded()
  char* behind_value = nullptr;
  std::string target;
  RequestHead head;
  ServerRequest request;
  bool close_after = false;
  bool counted = false;  // among the answers under way
};

// Called by libmicrohttpd with the target, which is decoded by us. Parts of a query come here only if a NUL hid its '?' from first_line(), and the request will be refused.
// Until then the list of parameters must end with the first one: in 0.9.75 one that fills the memory of its connection is a crash or a loop without end.
// The name comes first, then its value if it has one; behind them, in the same writable line, stands what would be the next one, or the version.
std::size_t leave_encoded(Connection& connection, char* text) {
  const std::size_t length = std::strlen(text);
  if (text == connection.target_place) return length;
  if (text == connection.value_place) {
    *connection.behind_value = '\0';
  } else {
    connection.value_place = text + length + 1;
    connection.behind_value = connection.value_place + std::strlen(connection.value_place) + 1;
    *connection.value_place = '\0';
  }
  return length;
}

// Answers in the stead of a handler that lets go of its `respond`.
class Reply {
 public:
  explicit Reply(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;
  ~Reply() { exchange_->answer(problem(500, "the request was dropped without an answer")); }
  void give(ServerResponse response) { exchange_->answer(std::move(response)); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace

std::string_view ServerRequest::header(std::string_view lower_case_name) const {
  const auto found = headers.find(std::string(lower_case_name));
  return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

std::optional<std::string> ServerRequest::parameter(const std::string& name) const {
  const auto found = query.find(name);
  return found == query.end() ? std::nullopt : std::optional(found->second);
}

ServerResponse ServerResponse::text(int status, std::string content_type, std::string body) {
  return {.status = status, .content_type = std::move(content_type), .body = std::make_shared<const std::string>(std::move(body))};
}

class HttpServer::Impl {
 public:
  Impl(HttpServerOptions options, ServerHandler handler, Listener listener)
      : options_(std::move(options)), handler_(std::move(handler)), listener_(std::move(listener)) {}
  ~Impl() { stop(milliseconds(2000)); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<void> run();
  void stop(milliseconds grace);
  const Listener& listener() const { return listener_; }
  unsigned connections() const { return open_; }

 private:
  static Impl& self(void* server) { return *static_cast<Impl*>(server); }
  static Connection& record_of(MHD_Connection* connection) {
    return *static_cast<Connection*>(MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
  }

  void accept_all(const std::stop_token& stop);
  bool wait_to_accept(milliseconds at_most, short events);
  void watch(const std::stop_token& stop);
  void look_at_clients();

  void opened(MHD_Connection* connection, void** context);
  void closed(void** context);
  void* first_line(const char* target, MHD_Connection* connection);
  MHD_Result read(Connection& connection, const char* method, const char* version, const char* data, std::size_t* size);
  std::optional<Refusal> read_head_of(Connection& connection, const char* method, const char* version);
  void ask(Connection& connection);
  MHD_Result answer(Connection& connection);
  MHD_Result send(Connection& connection, const ServerResponse& response);
  void completed(Connection& connection);

  const HttpServerOptions options_;
  const ServerHandler handler_;
  Listener listener_;
  UniqueFd wake_acceptor_;
  MHD_Daemon* daemon_ = nullptr;
  std::jthread acceptor_;
  std::jthread watcher_;

  std::atomic<ServerPhase> phase_ = ServerPhase::serving;
  std::atomic<unsigned> open_ = 0;
  std::atomic<unsigned> taken_ = 0;  // handed to libmicrohttpd and not closed yet
  const unsigned most_connections_ = allowed_connections(options_.max_connections);
  std::atomic<unsigned> threads_named_ = 0;

  std::mutex connections_mutex_;
  std::unordered_set<Connection*> connections_;

  std::mutex under_way_mutex_;
  std::condition_variable none_under_way_;
  unsigned under_way_ = 0;

  std::mutex stop_mutex_;
  bool stopped_ = false;
};

Result<void> HttpServer::Impl::run() {
  wake_acceptor_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_acceptor_) return system_error(errno, "cannot start the HTTP server");
  MHD_set_panic_func(&end_process, nullptr);

  std::vector<MHD_OptionItem> items;
  const auto number = [&](MHD_OPTION option, std::intptr_t value) { items.push_back({option, value, nullptr}); };
  const auto callback = [&](MHD_OPTION option, auto* function) {
    items.push_back({option, reinterpret_cast<std::intptr_t>(function), this});
  };
  number(MHD_OPTION_CONNECTION_MEMORY_LIMIT, static_cast<std::intptr_t>(options_.max_head_bytes + kMemoryBesideHead));
  // Its own limit must never be met: it counts late, and 0.9.75 then leaves the file of the connection too many open. Each thread gets a part of it.
  number(MHD_OPTION_CONNECTION_LIMIT, static_cast<std::intptr_t>(most_connections_ + 1) * std::max(options_.threads, 1U));
  number(MHD_OPTION_CONNECTION_TIMEOUT, std::max<std::intptr_t>(1, options_.idle_timeout.count()));
  if (options_.threads > 1) number(MHD_OPTION_THREAD_POOL_SIZE, options_.threads);
  callback(MHD_OPTION_NOTIFY_CONNECTION,
           +[](void* server, MHD_Connection* connection, void** context, MHD_ConnectionNotificationCode code) {
             if (code == MHD_CONNECTION_NOTIFY_STARTED) {
               self(server).opened(connection, context);
             } else {
               self(server).closed(context);
             }
           });
  callback(MHD_OPTION_URI_LOG_CALLBACK,
           +[](void* server, const char* target, MHD_Connection* connection) { return self(server).first_line(target, connection); });
  callback(MHD_OPTION_NOTIFY_COMPLETED, +[](void* server, MHD_Connection*, void** context, MHD_RequestTerminationCode) {
    if (*context != nullptr) self(server).completed(*static_cast<Connection*>(*context));
    *context = nullptr;
  });
  callback(MHD_OPTION_UNESCAPE_CALLBACK, +[](void*, MHD_Connection* connection, char* text) { return leave_encoded(record_of(connection), text); });
  number(MHD_OPTION_END, 0);

  // Without a listening socket of its own: at the limit of files it would accept in a busy loop. Without MHD_USE_ERROR_LOG it writes no lines.
  constexpr unsigned kFlags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC;
  daemon_ = MHD_start_daemon(
      kFlags, 0, nullptr, nullptr,
      +[](void* server, MHD_Connection* connection, const char*, const char* method, const char* version, const char* data, std::size_t* size,
          void** context) {
        if (*context == nullptr) return MHD_NO;
        return self(server).read(record_of(connection), method, version, data, size);
      },
      this, MHD_OPTION_EXTERNAL_LOGGER, +[](void*, const char*, va_list) {}, nullptr, MHD_OPTION_ARRAY, items.data(), MHD_OPTION_END);
  if (daemon_ == nullptr) {
    return Error{.code = ErrorCode::internal,
                 .message = "cannot start the threads of the HTTP server",
                 .hint = "look at the limits of threads and open files (`ulimit -u`, `ulimit -n`)"};
  }
  acceptor_ = std::jthread([this](const std::stop_token& stop) { accept_all(stop); });
  watcher_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
  return {};
}

// False if the server is to stop.
bool HttpServer::Impl::wait_to_accept(milliseconds at_most, short events) {
  pollfd files[] = {{wake_acceptor_.get(), POLLIN, 0}, {listener_.fd.get(), events, 0}};
  poll(files, 2, static_cast<int>(at_most.count()));
  return files[0].revents == 0;
}

void HttpServer::Impl::accept_all(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "http.accept");
  while (!stop.stop_requested() && wait_to_accept(milliseconds(-1), POLLIN)) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const int fd = accept4(listener_.fd.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 && taken_ >= most_connections_) {
      close(fd);
    } else if (fd >= 0) {
      ++taken_;
      // Closes it if it cannot take it.
      if (MHD_add_connection(daemon_, fd, reinterpret_cast<const sockaddr*>(&peer), size) != MHD_YES) --taken_;
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      // Files or memory are lacking. Who waits to be accepted keeps poll() from waiting; only time helps.
      wait_to_accept(kWaitForFiles, 0);
    }
  }
}

void HttpServer::Impl::watch(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "http.watch");
  const milliseconds pause = std::clamp(options_.heartbeat, milliseconds(1), kLookAtClients);
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    stopped.wait_for(lock, stop, pause, [] { return false; });
    if (!stop.stop_requested()) look_at_clients();
  }
}

// A connection's file stays open while it is in the list.
void HttpServer::Impl::look_at_clients() {
  const auto now = steady_clock::now();
  const std::lock_guard lock(connections_mutex_);
  const std::vector<Connection*> connections(connections_.begin(), connections_.end());
  std::vector<pollfd> files;
  files.reserve(connections.size());
  for (const Connection* connection : connections) files.push_back({connection->fd, POLLRDHUP, 0});
  if (poll(files.data(), files.size(), 0) < 0) return;
  for (std::size_t i = 0; i < connections.size(); ++i) {
    Connection& connection = *connections[i];
    const bool has_left = files[i].revents != 0;
    if (has_left && !connection.left_at) connection.left_at = now;
    if (connection.receiving) {
      // libmicrohttpd reads what has come before such an end by itself, but misses the end if it comes together with the last bytes.
      const auto since = connection.since.load();
      if (now - since > options_.receive_timeout || (has_left && now - std::max(since, *connection.left_at) > kLookAtClients)) {
        shutdown(connection.fd, SHUT_RDWR);
      }
    } else if (connection.exchange) {
      if (has_left) {
        connection.exchange->leave_if_asleep();
      } else {
        connection.exchange->beat(now - options_.heartbeat);
      }
    }
  }
}

void HttpServer::Impl::opened(MHD_Connection* connection, void** context) {
  thread_local bool named = false;
  if (!std::exchange(named, true)) pthread_setname_np(pthread_self(), format("http.{}", ++threads_named_).c_str());

  auto record = std::make_unique<Connection>();
  record->handle = connection;
  record->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
  record->peer = address_text(*MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
  record->since = steady_clock::now();
  *context = record.get();
  ++open_;
  const std::lock_guard lock(connections_mutex_);
  connections_.insert(record.release());
}

void HttpServer::Impl::closed(void** context) {
  const std::unique_ptr<Connection> record(static_cast<Connection*>(std::exchange(*context, nullptr)));
  // libmicrohttpd ends some requests that it has refused itself without a word.
  completed(*record);
  const std::lock_guard lock(connections_mutex_);
  connections_.erase(record.get());
  --open_;
  --taken_;
}

void* HttpServer::Impl::first_line(const char* target, MHD_Connection* connection) {
  Connection& record = record_of(connection);
  record.step = Step::head;
  record.target_place = target;
  record.value_place = nullptr;
  record.target = target;
  record.close_after = false;
  record.request = {};
  record.request.peer = record.peer;
  // It lies in a buffer of the connection that libmicrohttpd is about to change itself: with an empty query it makes no list of parameters, for which it would
  // use up the memory of the connection (and in 0.9.75 go round without end once that is full).
  if (const std::size_t query = record.target.find('?'); query != std::string::npos) const_cast<char*>(target)[query + 1] = '\0';
  auto exchange = std::make_shared<Exchange>(connection, phase_);
  const std::lock_guard lock(connections_mutex_);
  record.exchange = std::move(exchange);
  return &record;
}

std::optional<Refusal> HttpServer::Impl::read_head_of(Connection& connection, const char* method, const char* version) {
  const MHD_ConnectionInfo* const size = MHD_get_connection_info(connection.handle, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  if (size == nullptr) return Refusal{.why = "the head is malformed"};
  const std::string_view there(method, size->header_size);
  if (there.size() > options_.max_head_bytes) return Refusal{.status = 431, .why = "the head is too large"};
  const auto lines = read_head(there, connection.target);
  if (!lines) return Refusal{.why = "the head is malformed"};

  // libmicrohttpd decides by its own list where the body ends: it must be the same.
  struct Both {
    const HeaderLines& lines;
    std::size_t count = 0;
    bool same = true;
  } both{*lines};
  MHD_get_connection_values_n(
      connection.handle, MHD_HEADER_KIND,
      +[](void* context, MHD_ValueKind, const char* name, std::size_t name_size, const char* value, std::size_t value_size) {
        Both& compared = *static_cast<Both*>(context);
        const std::size_t at = compared.count++;
        if (at >= compared.lines.size()) {
          compared.same = false;
        } else {
          const auto& [our_name, our_value] = compared.lines[at];
          const std::size_t blanks = std::min(our_value.find_first_not_of(" \t"), our_value.size());
          compared.same = compared.same && our_name == std::string_view(name, name_size) && our_value.substr(blanks) == std::string_view(value, value_size);
        }
        return MHD_YES;
      },
      &both);
  if (!both.same || both.count != lines->size()) return Refusal{.why = "the head is malformed"};

  auto target = parse_target(connection.target);
  if (!target) return Refusal{.why = "the target is malformed"};
  const HttpVersion http_version = std::strcmp(version, "HTTP/1.0") == 0 ? HttpVersion::http_1_0 : HttpVersion::http_1_1;
  auto judged = judge_head(*lines, http_version, target->authority);
  if (const Refusal* const refusal = std::get_if<Refusal>(&judged)) return *refusal;
  connection.head = std::get<RequestHead>(std::move(judged));
  if (connection.head.content_length > options_.max_body_bytes) return Refusal{.status = 413, .why = kBodyTooLarge};
  if (phase_ != ServerPhase::serving) return Refusal{.status = 503, .why = "the server is stopping"};

  connection.request.method = std::strcmp(method, "HEAD") == 0 ? "GET" : method;
  connection.request.path = std::move(target->path);
  connection.request.query = std::move(target->query);
  connection.request.headers = std::move(connection.head.headers);
  return std::nullopt;
}

// Called with the head, then with each part of the body, then with nothing, and then again whenever the exchange was woken.
MHD_Result HttpServer::Impl::read(Connection& connection, const char* method, const char* version, const char* data, std::size_t* size) {
  switch (connection.step) {
    case Step::head: {
      connection.step = Step::body;
      if (const auto refusal = read_head_of(connection, method, version)) {
        // An answer before the body closes the connection.
        return send(connection, problem(refusal->status, refusal->why));
      }
      // Its frame is read less strictly by libmicrohttpd than by others: what follows it is not believed.
      connection.close_after = connection.head.chunked;
      return MHD_YES;
    }
    case Step::body:
      if (*size > 0) {
        if (connection.request.body.size() + *size > options_.max_body_bytes) {
          // libmicrohttpd takes no answer in the middle of a body, and has sent nothing yet.
          const ServerResponse refusal = problem(413, kBodyTooLarge);
          const std::string text = format("HTTP/1.1 413 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{}",
                                          reason(413), refusal.content_type, refusal.body->size(), *refusal.body);
          ::send(connection.fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
          return MHD_NO;
        }
        connection.request.body.append(data, std::exchange(*size, 0));
        return MHD_YES;
      }
      connection.step = Step::answer;
      ask(connection);
      return answer(connection);
    case Step::answer: return answer(connection);
  }
  return MHD_NO;
}

void HttpServer::Impl::ask(Connection& connection) {
  connection.receiving = false;
  connection.counted = true;
  {
    const std::lock_guard lock(under_way_mutex_);
    ++under_way_;
  }
  auto reply = std::make_shared<Reply>(connection.exchange);
  const ServerRequest request = std::move(connection.request);
  try {
    handler_(request, [reply](ServerResponse response) { reply->give(std::move(response)); });
  } catch (const std::exception&) {
    reply->give(problem(500, "the request could not be handled"));
  }
}

MHD_Result HttpServer::Impl::answer(Connection& connection) {
  auto outcome = connection.exchange->wait_for_answer();
  if (std::holds_alternative<Exchange::Asleep>(outcome)) return MHD_YES;
  if (std::holds_alternative<Exchange::Lost>(outcome)) return MHD_NO;
  return send(connection, std::get<ServerResponse>(outcome));
}

MHD_Result HttpServer::Impl::send(Connection& connection, const ServerResponse& response) {
  const bool is_status = response.status >= 200 && response.status <= 599;
  MHD_Response* made = nullptr;
  if (response.stream && is_status) {
    auto reader = std::make_unique<std::shared_ptr<Exchange>>(connection.exchange);
    connection.exchange->begin_stream(response.stream);
    made = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, kStreamBlock,
        +[](void* exchange, std::uint64_t, char* buffer, std::size_t size) {
          return (*static_cast<std::shared_ptr<Exchange>*>(exchange))->read_stream(buffer, size);
        },
        reader.get(), +[](void* exchange) { delete static_cast<std::shared_ptr<Exchange>*>(exchange); });
    if (made != nullptr) reader.release();
  } else {
    static const auto kEmpty = std::make_shared<const std::string>();
    auto body = std::make_unique<std::shared_ptr<const std::string>>(response.body && is_status ? response.body : kEmpty);
    // Never written to.
    made = MHD_create_response_from_buffer_with_free_callback_cls(
        (*body)->size(), const_cast<char*>((*body)->data()), +[](void* text) { delete static_cast<std::shared_ptr<const std::string>*>(text); }, body.get());
    if (made != nullptr) body.release();
  }
  if (made == nullptr) return MHD_NO;

  const auto add = [&](const char* name, const std::string& value) { MHD_add_response_header(made, name, value.c_str()); };
  bool has_cache_control = false;
  for (const auto& [name, value] : response.headers) {
    if (value.find('\0') != std::string::npos) continue;
    add(name.c_str(), value);
    has_cache_control = has_cache_control || strcasecmp(name.c_str(), "cache-control") == 0;
  }
  if (!response.content_type.empty() && is_status) add("Content-Type", response.content_type);
  if (!has_cache_control) add("Cache-Control", "no-store");
  add("X-Content-Type-Options", "nosniff");
  if (connection.close_after || phase_ != ServerPhase::serving) add("Connection", "close");
  const MHD_Result queued = MHD_queue_response(connection.handle, static_cast<unsigned>(is_status ? response.status : 500), made);
  MHD_destroy_response(made);
  return queued;
}

void HttpServer::Impl::completed(Connection& connection) {
  std::shared_ptr<Exchange> exchange;
  {
    const std::lock_guard lock(connections_mutex_);
    exchange.swap(connection.exchange);
  }
  if (!exchange) return;
  exchange->over();
  connection.request = {};
  connection.since = steady_clock::now();
  connection.receiving = true;
  if (!std::exchange(connection.counted, false)) return;
  const std::lock_guard lock(under_way_mutex_);
  if (--under_way_ == 0) none_under_way_.notify_all();
}

void HttpServer::Impl::stop(milliseconds grace) {
  const std::lock_guard once(stop_mutex_);
  if (std::exchange(stopped_, true)) return;
  const auto wake_all = [this] {
    const std::lock_guard lock(connections_mutex_);
    for (Connection* connection : connections_) {
      if (connection->exchange) connection->exchange->wake();
    }
  };
  if (acceptor_.joinable()) {
    acceptor_.request_stop();
    constexpr std::uint64_t kOne = 1;
    [[maybe_unused]] const ssize_t written = write(wake_acceptor_.get(), &kOne, sizeof kOne);
    acceptor_.join();
  }
  listener_.fd.reset();
  phase_ = ServerPhase::ending;
  wake_all();
  {
    std::unique_lock lock(under_way_mutex_);
    none_under_way_.wait_for(lock, grace, [this] { return under_way_ == 0; });
  }
  // From here on nothing falls asleep, and what sleeps is woken: libmicrohttpd must not be stopped with anything suspended.
  phase_ = ServerPhase::closing;
  wake_all();
  if (watcher_.joinable()) {
    watcher_.request_stop();
    watcher_.join();
  }
  if (daemon_ != nullptr) MHD_stop_daemon(std::exchange(daemon_, nullptr));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpServerOptions options, ServerHandler handler) {
  TRY_ASSIGN(const ListenAddress where, parse_listen(options.listen));
  TRY_ASSIGN(Listener listener, listen_on(where));
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handler), std::move(listener));
  TRY(impl->run());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

std::uint16_t HttpServer::port() const { return impl_->listener().port; }

std::string HttpServer::address() const { return impl_->listener().address; }

bool HttpServer::is_loopback() const { return impl_->listener().is_loopback; }

unsigned HttpServer::connections() const { return impl_->connections(); }

void HttpServer::stop(milliseconds grace) { impl_->stop(grace); }

}  // namespace heimdall
