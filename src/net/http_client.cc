#include "net/http_client.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "base/format.h"
#include "base/guarded.h"
#include "io/file.h"
#include "net/http_exchange.h"

namespace heimdall {

namespace {

struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

bool start_libcurl() {
  static const bool started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return started;
}

// A thread that no signal of the process reaches: OpenSSL writes without MSG_NOSIGNAL, so a peer that is gone would raise SIGPIPE here.
// The threads in which libcurl resolves names inherit this.
template <class Body>
std::thread start_quiet_thread(Body body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const struct Restore {
    const sigset_t& mask;
    ~Restore() { pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
  } restore{before};
  return std::thread(std::move(body));
}

}  // namespace

// The thread and what it alone touches; the inbox is the one thing shared.
class HttpClient::Loop {
 public:
  Loop(HttpClientOptions options, CURLM* multi) : options_(std::move(options)), multi_(multi) {
    if (options_.max_connections == 0) options_.max_connections = 1;
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(options_.max_connections));
    curl_multi_setopt(multi_.get(), CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
    thread_ = start_quiet_thread([this] {
      pthread_setname_np(pthread_self(), "http");
      run();
    });
  }
  ~Loop() {
    inbox_.lock()->stopping = true;
    curl_multi_wakeup(multi_.get());
    thread_.join();
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  std::future<Result<HttpResponse>> submit(HttpRequest request) {
    auto exchange = std::make_unique<HttpExchange>(std::move(request));
    auto future = exchange->future();
    inbox_.lock()->waiting.push_back(std::move(exchange));
    curl_multi_wakeup(multi_.get());
    return future;
  }

 private:
  struct Inbox {
    std::deque<std::unique_ptr<HttpExchange>> waiting;
    bool stopping = false;
  };

  void run() {
    while (!inbox_.lock()->stopping) {
      start_waiting();
      int running = 0;
      CURLMcode code = curl_multi_perform(multi_.get(), &running);
      const bool ended_some = collect();
      if (code == CURLM_OK && !ended_some) code = curl_multi_poll(multi_.get(), nullptr, 0, 1000, nullptr);
      if (code != CURLM_OK) end_running(format("libcurl failed ({})", curl_multi_strerror(code)));
    }
    constexpr std::string_view why = "the client was closed before the answer came";
    end_running(why);
    auto inbox = inbox_.lock();
    for (auto& exchange : inbox->waiting) exchange->fulfil(exchange->ended(why));
    inbox->waiting.clear();
  }

  std::unique_ptr<HttpExchange> next_waiting() {
    auto inbox = inbox_.lock();
    if (inbox->waiting.empty()) return nullptr;
    auto exchange = std::move(inbox->waiting.front());
    inbox->waiting.pop_front();
    return exchange;
  }

  void start_waiting() {
    while (running_.size() < options_.max_connections) {
      auto exchange = next_waiting();
      if (!exchange) return;
      CurlHandle handle = new_handle();
      if (!handle) {
        exchange->fulfil(exchange->ended("libcurl gives no handle"));
        continue;
      }
      if (auto prepared = exchange->prepare(std::move(handle), options_); !prepared) {
        exchange->fulfil(std::move(prepared).error());
        keep(exchange->release());
      } else if (const CURLMcode code = curl_multi_add_handle(multi_.get(), exchange->handle()); code != CURLM_OK) {
        exchange->fulfil(exchange->ended(curl_multi_strerror(code)));
      } else {
        CURL* const easy = exchange->handle();
        running_.emplace(easy, std::move(exchange));
      }
    }
  }

  // True if a place became free.
  bool collect() {
    bool some = false;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      const auto found = running_.find(message->easy_handle);
      curl_multi_remove_handle(multi_.get(), message->easy_handle);  // ends the life of *message
      if (found == running_.end()) continue;
      auto exchange = std::move(found->second);
      running_.erase(found);
      auto result = exchange->outcome(code);
      keep(exchange->release());
      exchange->fulfil(std::move(result));
      some = true;
    }
    return some;
  }

  void end_running(std::string_view why) {
    for (auto& [easy, exchange] : running_) {
      const Error error = exchange->ended(why);
      curl_multi_remove_handle(multi_.get(), easy);
      exchange->fulfil(error);
    }
    running_.clear();
  }

  CurlHandle new_handle() {
    if (spare_.empty()) return CurlHandle(curl_easy_init());
    CurlHandle handle = std::move(spare_.back());
    spare_.pop_back();
    return handle;
  }

  void keep(CurlHandle handle) {
    curl_easy_reset(handle.get());
    spare_.push_back(std::move(handle));
  }

  HttpClientOptions options_;
  // In this order: the easy handles go before the multi handle that knows their connections.
  std::unique_ptr<CURLM, MultiDeleter> multi_;
  std::vector<CurlHandle> spare_;
  std::map<CURL*, std::unique_ptr<HttpExchange>> running_;
  Guarded<Inbox> inbox_;
  std::thread thread_;
};

Result<std::unique_ptr<HttpClient>> HttpClient::create(HttpClientOptions options) {
  // libcurl's own tool looks at the variable, its library does not.
  if (const char* const file = std::getenv("SSL_CERT_FILE"); options.ca_file.empty() && file != nullptr) options.ca_file = file;
  if (!options.ca_file.empty()) {
    if (auto opened = open_file(options.ca_file, O_RDONLY, "file of certificate authorities"); !opened) {
      return Error{.code = ErrorCode::invalid_argument,
                   .message = opened.error().message,
                   .hint = "give a readable PEM file of certificate authorities"};
    }
  }
  CURLM* const multi = start_libcurl() ? curl_multi_init() : nullptr;
  if (multi == nullptr) return Error{.code = ErrorCode::internal, .message = "libcurl cannot be started"};
  return std::unique_ptr<HttpClient>(new HttpClient(std::make_unique<Loop>(std::move(options), multi)));
}

HttpClient::HttpClient(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
HttpClient::~HttpClient() = default;

std::future<Result<HttpResponse>> HttpClient::send(HttpRequest request) { return loop_->submit(std::move(request)); }

}  // namespace heimdall
