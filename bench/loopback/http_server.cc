#include "loopback/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/format.h"
#include "io/fd.h"

namespace heimdall::loopback {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kReadBytes = std::size_t{64} << 10;
constexpr std::size_t kMaxRequestBytes = std::size_t{16} << 20;

std::string_view reason_of(int status) {
  switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    default: return "Said";
  }
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

// The first request in `bytes`.
struct Parsed {
  Request request;
  std::size_t body_at = 0, size = 0;  // of the whole request
  bool wants_continue = false, closes = false;
};

// nullopt: its head is not complete yet.
std::optional<Parsed> parse_head(std::string_view bytes) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  Parsed parsed;
  parsed.body_at = parsed.size = end + 4;
  std::string_view head = bytes.substr(0, end);
  std::string_view line = head.substr(0, head.find("\r\n"));
  head.remove_prefix(std::min(line.size() + 2, head.size()));
  const std::size_t blank = std::min(line.find(' '), line.size());
  parsed.request.method = line.substr(0, blank);
  line.remove_prefix(std::min(blank + 1, line.size()));
  parse_target(line.substr(0, line.find(' ')), parsed.request);

  while (!head.empty()) {
    line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(line.size() + 2, head.size()));
    const std::size_t colon = std::min(line.find(':'), line.size());
    const std::string_view name = line.substr(0, colon);
    std::string_view value = line.substr(std::min(colon + 1, line.size()));
    while (value.starts_with(' ')) value.remove_prefix(1);
    if (equals_ignoring_case(name, "Content-Length")) {
      std::size_t length = 0;
      std::from_chars(value.data(), value.data() + value.size(), length);
      parsed.size = parsed.body_at + std::min(length, kMaxRequestBytes);
    } else if (equals_ignoring_case(name, "Expect")) {
      parsed.wants_continue = true;
    } else if (equals_ignoring_case(name, "Connection")) {
      parsed.closes = equals_ignoring_case(value, "close");
    }
  }
  return parsed;
}

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 64> text;
  return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

}  // namespace

// What goes in and out of one socket. One request at a time; what comes meanwhile waits in `in`.
class HttpServer::Connection {
 public:
  enum class Sent { all, some, failed };

  explicit Connection(UniqueFd socket) : socket_(std::move(socket)) {}
  int socket() const { return socket_.get(); }
  bool is_answering() const { return answer_.has_value(); }
  bool closes() const { return closes_; }
  // Whether it waits for room in the kernel's buffer; true: that is new.
  bool note_room(bool waits) { return std::exchange(waits_for_room_, waits) != waits; }

  // False: the peer is gone.
  bool read() {
    for (;;) {
      const std::size_t before = in_.size();
      if (before > 2 * kMaxRequestBytes) return false;
      in_.resize(before + kReadBytes);
      const ssize_t n = ::recv(socket(), in_.data() + before, kReadBytes, 0);
      in_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(0, n)));
      if (n < 0) return errno == EAGAIN || errno == EINTR;
      if (n == 0) return false;
      if (static_cast<std::size_t>(n) < kReadBytes) return true;
    }
  }

  // The next request, once it is complete.
  std::optional<Request> next() {
    auto parsed = parse_head(in_);
    if (!parsed) return std::nullopt;
    if (parsed->size > in_.size()) {
      constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      if (parsed->wants_continue && !has_continued_) ::send(socket(), go_on.data(), go_on.size(), MSG_NOSIGNAL);
      has_continued_ = parsed->wants_continue;
      return std::nullopt;
    }
    has_continued_ = false;
    closes_ = parsed->closes;
    parsed->request.body = in_.substr(parsed->body_at, parsed->size - parsed->body_at);
    in_.erase(0, parsed->size);
    return std::move(parsed->request);
  }

  void take(Answer answer, std::string_view server) {
    const std::size_t length = answer.is_head ? answer.stated_length : answer.body.size() + answer.block_size + answer.tail.size();
    head_ = format("HTTP/1.1 {} {}\r\nServer: {}\r\nDate: {}\r\n{}", answer.status, reason_of(answer.status), server, http_date(),
                   answer.headers);
    if (answer.status != 204) head_ += format("Content-Length: {}\r\n", length);
    head_ += "\r\n";
    sent_ = 0;
    answer_ = std::move(answer);
  }

  Sent send() {
    for (;;) {
      std::array<iovec, 4> parts;
      const std::size_t count = unsent(parts);
      if (count == 0) {
        answer_.reset();
        return Sent::all;
      }
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = count;
      const ssize_t n = ::sendmsg(socket(), &message, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno == EAGAIN ? Sent::some : Sent::failed;
      sent_ += static_cast<std::size_t>(n);
    }
  }

 private:
  std::size_t unsent(std::array<iovec, 4>& parts) {
    std::size_t skip = sent_, count = 0;
    const auto add = [&](char* data, std::size_t size) {
      const std::size_t done = std::min(skip, size);
      skip -= done;
      if (size > done) parts[count++] = {data + done, size - done};
    };
    add(head_.data(), head_.size());
    if (!answer_->is_head) {
      add(answer_->body.data(), answer_->body.size());
      add(answer_->block.get(), answer_->block_size);
      add(answer_->tail.data(), answer_->tail.size());
    }
    return count;
  }

  const UniqueFd socket_;
  std::string in_;
  bool has_continued_ = false, closes_ = false, waits_for_room_ = false;
  std::optional<Answer> answer_;
  std::string head_;
  std::size_t sent_ = 0;
};

// A thread with its connections. Only give() and the destructor are called from elsewhere.
class HttpServer::Reactor {
 public:
  Reactor(const Options& options, Handler& handler)
      : name_(options.name), handler_(handler), epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    watch(wake_.get(), kWake, EPOLLIN, EPOLL_CTL_ADD);
  }
  ~Reactor() {
    is_stopping_ = true;
    wake();
    if (thread_.joinable()) thread_.join();
  }
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // The first reactor listens, and deals what it accepts to all.
  void listen_on(UniqueFd listener, std::vector<Reactor*> all) {
    listener_ = std::move(listener);
    all_ = std::move(all);
    watch(listener_.get(), kListener, EPOLLIN, EPOLL_CTL_ADD);
  }
  void start() {
    thread_ = std::thread([this] { run(); });
  }
  void give(UniqueFd socket) {
    {
      const std::scoped_lock lock(mutex_);
      given_.push_back(std::move(socket));
    }
    wake();
  }

 private:
  static constexpr std::uint64_t kWake = 0, kListener = 1, kFirstConnection = 2;

  void wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof(one));
  }

  void watch(int fd, std::uint64_t id, std::uint32_t events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = id;
    epoll_ctl(epoll_.get(), operation, fd, &event);
  }

  void run() {
    std::array<epoll_event, 64> events;
    while (!is_stopping_) {
      const int n = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), patience());
      for (int i = 0; i < n; ++i) on_event(events[static_cast<std::size_t>(i)]);
      send_due();
    }
  }

  // Milliseconds until an answer is due; -1: none waits.
  int patience() const {
    if (due_.empty()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due_.begin()->first - Clock::now());
    return static_cast<int>(std::max<std::int64_t>(0, left.count()));
  }

  void on_event(const epoll_event& event) {
    const std::uint64_t id = event.data.u64;  // a copy: epoll_event is packed, so its fields have no aligned address
    if (id == kWake) return take_given();
    if (id == kListener) return accept_all();
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    Connection& connection = *found->second;
    bool is_alive = true;
    if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) is_alive = connection.read();
    if (is_alive && (event.events & EPOLLOUT) != 0) is_alive = send(found->first, connection);
    if (is_alive) is_alive = serve(found->first, connection);
    if (!is_alive) connections_.erase(found);
  }

  void accept_all() {
    for (;;) {
      UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (socket.get() < 0) return;
      const int on = 1;
      setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      all_[turn_++ % all_.size()]->give(std::move(socket));
    }
  }

  void take_given() {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = ::read(wake_.get(), &count, sizeof(count));
    std::vector<UniqueFd> given;
    {
      const std::scoped_lock lock(mutex_);
      given.swap(given_);
    }
    for (UniqueFd& socket : given) {
      watch(socket.get(), next_id_, EPOLLIN, EPOLL_CTL_ADD);
      connections_.emplace(next_id_++, std::make_unique<Connection>(std::move(socket)));
    }
  }

  // Answers what has come, one request after the other. False: the connection is over.
  bool serve(std::uint64_t id, Connection& connection) {
    while (!connection.is_answering()) {
      const auto request = connection.next();
      if (!request) return true;
      Answer answer = handler_.answer(*request);
      const auto delay = answer.delay;
      connection.take(std::move(answer), name_);
      if (delay > delay.zero()) {
        due_.emplace(Clock::now() + delay, id);
        return true;
      }
      if (!send(id, connection)) return false;
    }
    return true;
  }

  bool send(std::uint64_t id, Connection& connection) {
    if (!connection.is_answering()) return true;
    const auto sent = connection.send();
    if (sent == Connection::Sent::failed) return false;
    const bool has_rest = sent == Connection::Sent::some;
    if (connection.note_room(has_rest)) watch(connection.socket(), id, has_rest ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
    return has_rest || !connection.closes();
  }

  void send_due() {
    while (!due_.empty() && due_.begin()->first <= Clock::now()) {
      const auto found = connections_.find(due_.begin()->second);
      due_.erase(due_.begin());
      if (found == connections_.end()) continue;
      if (!send(found->first, *found->second) || !serve(found->first, *found->second)) connections_.erase(found);
    }
  }

  const std::string name_;
  Handler& handler_;
  const UniqueFd epoll_, wake_;
  UniqueFd listener_;
  std::vector<Reactor*> all_;
  std::size_t turn_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::multimap<Clock::time_point, std::uint64_t> due_;
  std::uint64_t next_id_ = kFirstConnection;
  std::atomic<bool> is_stopping_{false};
  std::mutex mutex_;
  std::vector<UniqueFd> given_;
  std::thread thread_;
};

Result<std::unique_ptr<HttpServer>> HttpServer::start(Options options, Handler& handler) {
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(options.port);
  socklen_t size = sizeof(address);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 || ::listen(listener.get(), 1024) != 0 ||
      ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return system_error(errno, format("cannot listen on 127.0.0.1:{}", options.port));
  }
  std::vector<std::unique_ptr<Reactor>> reactors;
  std::vector<Reactor*> all;
  for (unsigned i = 0; i < std::max(1U, options.threads); ++i) all.push_back(reactors.emplace_back(std::make_unique<Reactor>(options, handler)).get());
  reactors.front()->listen_on(std::move(listener), all);
  for (Reactor* const reactor : all) reactor->start();
  return std::unique_ptr<HttpServer>(new HttpServer(ntohs(address.sin_port), std::move(reactors)));
}

HttpServer::HttpServer(std::uint16_t port, std::vector<std::unique_ptr<Reactor>> reactors) : port_(port), reactors_(std::move(reactors)) {}

// The first one deals to the others, so it ends first: the vector would destroy in that order, but says so nowhere.
HttpServer::~HttpServer() {
  for (auto& reactor : reactors_) reactor.reset();
}

}  // namespace heimdall::loopback
