#include "net/http_exchange.h"

#include <algorithm>
#include <charconv>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

constexpr std::size_t kMaxHeaderBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxReserve = std::size_t{1} << 20;
constexpr long kReceiveBuffer = 128L << 10;

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos ? std::string_view() : text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// "host:port/path" for people: neither a password nor the query, which may carry a signature.
std::string shown_url(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  if (const auto scheme = url.find("://"); scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  if (const auto at = url.substr(0, url.find('/')).rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  return printable(url);
}

bool is_line(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos; }

// 0 if there is none.
int status_of(std::string_view status_line) {
  int status = 0;
  if (const auto space = status_line.find(' '); space != std::string_view::npos) {
    std::from_chars(status_line.data() + space + 1, status_line.data() + status_line.size(), status);
  }
  return status;
}

}  // namespace

std::string_view to_string(HttpMethod method) {
  switch (method) {
    case HttpMethod::get: return "GET";
    case HttpMethod::head: return "HEAD";
    case HttpMethod::put: return "PUT";
    case HttpMethod::post: return "POST";
    case HttpMethod::del: return "DELETE";
  }
  return "?";
}

std::string_view HttpResponse::header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), [&](const HttpHeader& h) { return same_name(h.name, name); });
  return found == headers.end() ? std::string_view() : std::string_view(found->value);
}

Result<void> HttpExchange::prepare(CurlHandle handle, const HttpClientOptions& options) {
  handle_ = std::move(handle);
  CURL* const easy = handle_.get();
  if (!is_line(request_.url)) return error(ErrorCode::invalid_argument, "the URL holds a line end");
  curl_easy_setopt(easy, CURLOPT_URL, request_.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBuffer);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, options.user_agent.c_str());
  // Zero would mean "no limit" to libcurl.
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(1, request_.timeout.count())));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(std::max<std::int64_t>(1, options.connect_timeout.count())));
  if (!options.ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);  // else the system's directory would be trusted as well
  }
  // The connection is kept afterwards: what is new to this request may well be old to a later one that only reads.
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request_.connection == Connection::fresh ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, curl_error_);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &HttpExchange::on_send);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &HttpExchange::on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &HttpExchange::on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  set_method();
  return set_headers();
}

void HttpExchange::set_method() {
  CURL* const easy = handle_.get();
  const HttpMethod method = request_.method;
  if (method == HttpMethod::head) {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    return;
  }
  if (!request_.body.empty() || method == HttpMethod::put || method == HttpMethod::post) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.body.data());  // not copied
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
  } else {
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  }
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, std::string(to_string(method)).c_str());
}

Result<void> HttpExchange::set_headers() {
  if (request_.method == HttpMethod::head && !request_.body.empty()) {
    return error(ErrorCode::invalid_argument, "a HEAD request has no body");
  }
  // Waiting for "100 Continue" costs a round trip (or a second, where a server does not know it).
  std::vector<std::string> lines = {"Expect:"};
  bool has_type = false;
  for (const HttpHeader& header : request_.headers) {
    if (header.name.empty() || !is_line(header.name) || !is_line(header.value)) {
      return error(ErrorCode::invalid_argument, format("the header '{}' cannot be sent", printable(header.name)));
    }
    has_type = has_type || same_name(header.name, "Content-Type");
    lines.push_back(header.value.empty() ? header.name + ";" : header.name + ": " + header.value);  // libcurl's ways to say it
  }
  if (!has_type) lines.emplace_back("Content-Type:");  // else libcurl claims that a body is a form
  for (const std::string& line : lines) {
    curl_slist* const longer = curl_slist_append(header_list_.get(), line.c_str());
    if (longer == nullptr) return error(ErrorCode::internal, "no memory for the headers");
    static_cast<void>(header_list_.release());
    header_list_.reset(longer);
  }
  curl_easy_setopt(handle_.get(), CURLOPT_HTTPHEADER, header_list_.get());
  return {};
}

int HttpExchange::on_send(void* self, char*, char*, int, int) noexcept {
  auto& exchange = *static_cast<HttpExchange*>(self);
  if (exchange.request_.may_send && !exchange.request_.may_send()) {
    exchange.refused_ = true;
    return CURL_PREREQFUNC_ABORT;
  }
  long opened = 0;
  curl_easy_getinfo(exchange.handle_.get(), CURLINFO_NUM_CONNECTS, &opened);
  exchange.on_kept_ = opened == 0;
  ++exchange.let_go_;
  return CURL_PREREQFUNC_OK;
}

std::size_t HttpExchange::on_header(const char* data, std::size_t, std::size_t size, void* self) noexcept {
  return static_cast<HttpExchange*>(self)->take_header({data, size}) ? size : 0;
}

bool HttpExchange::take_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kMaxHeaderBytes) too_large_ = true;
  if (too_large_) return false;
  if (part_ == AnswerPart::complete_headers) return true;  // trailers behind the body say nothing we ask for
  if (line.substr(0, 5) == "HTTP/") {
    response_ = {};
    response_.status = status_of(line);
    part_ = response_.status < 200 ? AnswerPart::interim_headers : AnswerPart::headers;
    return true;
  }
  const std::string_view text = trimmed(line);
  if (text.empty()) {
    if (part_ == AnswerPart::headers) part_ = AnswerPart::complete_headers;
    return true;
  }
  if ((line.front() == ' ' || line.front() == '\t') && !response_.headers.empty()) {
    response_.headers.back().value.append(" ").append(text);
  } else if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    response_.headers.push_back({std::string(trimmed(text.substr(0, colon))), std::string(trimmed(text.substr(colon + 1)))});
  }
  return true;
}

std::size_t HttpExchange::on_body(const char* data, std::size_t, std::size_t size, void* self) noexcept {
  auto& exchange = *static_cast<HttpExchange*>(self);
  std::string& body = exchange.response_.body;
  const std::size_t limit = exchange.request_.max_body_bytes;
  if (size > limit - body.size()) {
    exchange.too_large_ = true;
    return 0;
  }
  if (body.empty()) {
    curl_off_t announced = -1;
    curl_easy_getinfo(exchange.handle_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    if (announced > 0) body.reserve(std::min({static_cast<std::size_t>(announced), limit, kMaxReserve}));
  }
  body.append(data, size);
  return size;
}

// Why what libcurl takes for an answer is none: it accepts headers that break off, a lone "100 Continue", and a body of unknown length
// that ends with the connection. None of these can be told from a cut.
std::optional<std::string> HttpExchange::incomplete() const {
  if (part_ == AnswerPart::interim_headers) return "the connection ended after an interim answer";
  if (part_ != AnswerPart::complete_headers) return "the connection ended within the headers of the answer";
  const bool bodiless = request_.method == HttpMethod::head || response_.status == 204 || response_.status == 304;
  if (bodiless) return std::nullopt;
  if (const auto coding = response_.header("Transfer-Encoding"); !coding.empty()) {
    const auto last = trimmed(coding.substr(coding.find_last_of(',') + 1));
    return same_name(last, "chunked") ? std::nullopt : std::optional<std::string>("the answer's end is not marked");
  }
  curl_off_t announced = -1;
  curl_easy_getinfo(handle_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
  if (announced < 0) return "the answer has neither Content-Length nor chunks, so its end cannot be told from a cut";
  if (static_cast<std::uint64_t>(announced) != response_.body.size()) {
    return format("the answer has {} bytes of {}", response_.body.size(), announced);
  }
  return std::nullopt;
}

// Whether the server may have the whole request. libcurl counts what the kernel (for TLS: the whole record) has taken, so a request
// with a body of which not all is counted is not whole. On a kept connection it may have been sent before and the count begun anew.
bool HttpExchange::may_have_arrived() const {
  if (let_go_ == 0) return false;
  if (let_go_ > 1 || on_kept_) return true;
  long sent = 0;
  curl_off_t body_sent = 0;
  curl_easy_getinfo(handle_.get(), CURLINFO_REQUEST_SIZE, &sent);
  curl_easy_getinfo(handle_.get(), CURLINFO_SIZE_UPLOAD_T, &body_sent);
  return sent > 0 && static_cast<std::uint64_t>(body_sent) >= request_.body.size();
}

Result<HttpResponse> HttpExchange::outcome(CURLcode code) {
  curl_off_t microseconds = 0;
  curl_easy_getinfo(handle_.get(), CURLINFO_TOTAL_TIME_T, &microseconds);
  end_.took = std::chrono::microseconds(microseconds);
  end_.timed_out = code == CURLE_OPERATION_TIMEDOUT;
  if (code != CURLE_OK) return failure(code);
  if (const auto why = incomplete()) return error(ErrorCode::in_doubt, *why);
  return std::move(response_);
}

void HttpExchange::fulfil(Result<HttpResponse> result) {
  if (request_.on_end) {
    if (result) end_.status = result->status;
    else end_.error = result.error().code;
    request_.on_end(end_);
  }
  promise_.set_value(std::move(result));
}

Error HttpExchange::ended(std::string_view why) const {
  return error(may_have_arrived() ? ErrorCode::in_doubt : ErrorCode::unavailable, why);
}

Error HttpExchange::failure(CURLcode code) const {
  const std::string why = printable(curl_error_[0] != '\0' ? curl_error_ : curl_easy_strerror(code));
  if (refused_) {
    if (let_go_ > 0) return error(ErrorCode::in_doubt, "the connection broke, and sending again was refused");
    return error(ErrorCode::cancelled, "it was not sent: it may not leave any more");
  }
  if (too_large_) {
    return error(ErrorCode::corrupt, format("the answer exceeds {}", human_bytes(request_.max_body_bytes)),
                 "check that the endpoint is what it should be");
  }
  switch (code) {
    case CURLE_URL_MALFORMAT: return error(ErrorCode::invalid_argument, why, "check the endpoint's URL");
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      if (let_go_ > 0) {
        return error(ErrorCode::corrupt, format("the answer is no HTTP ({})", why), "check the endpoint's scheme and port");
      }
      if (code == CURLE_UNSUPPORTED_PROTOCOL) return error(ErrorCode::invalid_argument, why, "use http:// or https://");
      return ended(why);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return error(ErrorCode::permission_denied, format("the server's certificate is not trusted ({})", why),
                   "give the certificate authority's PEM file, and check that the endpoint has the certificate's name");
    case CURLE_SSL_CACERT_BADFILE:
      return error(ErrorCode::invalid_argument, why, "give a readable PEM file of certificate authorities");
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
      return error(ErrorCode::unavailable, why, "check the endpoint's name and port, and that the server runs");
    case CURLE_SSL_CONNECT_ERROR:
      if (let_go_ > 0) return ended(why);
      return error(ErrorCode::unavailable, why, "check that the server speaks TLS on this port");
    default: return ended(why);
  }
}

Error HttpExchange::error(ErrorCode code, std::string_view why, std::string hint) const {
  return {.code = code,
          .message = format("{} {}: {}", to_string(request_.method), shown_url(request_.url), why),
          .hint = std::move(hint)};
}

}  // namespace heimdall
