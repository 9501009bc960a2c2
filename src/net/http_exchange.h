#pragma once

#include <curl/curl.h>

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/http_client.h"

namespace heimdall {

struct CurlDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using CurlHandle = std::unique_ptr<CURL, CurlDeleter>;

// One request and its answer on one easy handle; private to the module. All but the constructor runs on the client's thread.
class HttpExchange {
 public:
  explicit HttpExchange(HttpRequest request) : request_(std::move(request)) {}
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  std::future<Result<HttpResponse>> future() { return promise_.get_future(); }

  // Sets up `handle`; an error (invalid_argument) means that it cannot be sent at all.
  Result<void> prepare(CurlHandle handle, const HttpClientOptions& options);
  CURL* handle() const { return handle_.get(); }
  // The handle, to be used again, once it is off the multi handle.
  CurlHandle release() { return std::move(handle_); }

  // What libcurl's end of the transfer means.
  Result<HttpResponse> outcome(CURLcode code);
  // The transfer ends without libcurl's word.
  Error ended(std::string_view why) const;
  void fulfil(Result<HttpResponse> result);

 private:
  enum class AnswerPart { nothing, interim_headers, headers, complete_headers };

  static int on_send(void* self, char*, char*, int, int) noexcept;
  static std::size_t on_header(const char* data, std::size_t, std::size_t size, void* self) noexcept;
  static std::size_t on_body(const char* data, std::size_t, std::size_t size, void* self) noexcept;
  bool take_header(std::string_view line);

  Result<void> set_headers();
  void set_method();
  std::optional<std::string> incomplete() const;
  bool may_have_arrived() const;
  Error failure(CURLcode code) const;
  Error error(ErrorCode code, std::string_view why, std::string hint = {}) const;

  HttpRequest request_;
  std::promise<Result<HttpResponse>> promise_;
  CurlHandle handle_;
  std::unique_ptr<curl_slist, CurlDeleter> header_list_;
  char curl_error_[CURL_ERROR_SIZE] = "";

  int let_go_ = 0;             // how often the request was let go; more than once: libcurl sent it again
  bool on_kept_ = false;       // the last time on a connection that had been used before
  bool refused_ = false;       // by may_send
  bool too_large_ = false;     // the answer
  HttpEnd end_;                // what is known of it before the outcome is
  AnswerPart part_ = AnswerPart::nothing;
  std::size_t header_bytes_ = 0;
  HttpResponse response_;
};

}  // namespace heimdall
