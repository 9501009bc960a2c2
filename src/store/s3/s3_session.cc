#include "store/s3/s3_session.h"

#include "base/format.h"
#include "io/sha256.h"
#include "store/s3/http_date.h"
#include "store/s3/sigv4.h"

namespace heimdall {

namespace {

constexpr int kCorruptAttempts = 4;
constexpr auto kCorruptDelay = std::chrono::milliseconds(200);
constexpr auto kStopTick = std::chrono::milliseconds(50);  // how long a stop can go unnoticed

bool is_success(int status) { return status >= 200 && status < 300; }

// How StoreTraffic calls the end of a request.
std::string status_of(const HttpEnd& end, bool changes) {
  if (!end.error) return std::to_string(end.status);
  if (end.error == ErrorCode::cancelled) return "not_sent";
  if (changes && (end.error == ErrorCode::in_doubt || end.error == ErrorCode::corrupt)) return "in_doubt";
  return end.timed_out ? "timeout" : "unreachable";
}

}  // namespace

std::string_view operation_of(const S3Call& call) {
  if (call.target == S3Target::admin) return "capacity";
  if (call.method == HttpMethod::put) return "put";
  if (call.method == HttpMethod::del || call.method == HttpMethod::post) return "delete";
  if (call.target == S3Target::object) return "head";
  return !call.query.empty() && call.query.front().first == "list-type" ? "list" : "bucket";
}

S3Session::S3Session(S3Options options, S3Endpoint endpoint, Clock& clock, std::unique_ptr<HttpClient> http)
    : options_(std::move(options)), endpoint_(std::move(endpoint)), clock_(clock), http_(std::move(http)),
      reading_(options_.credentials, options_.environment) {
  if (options_.delete_credentials) deleting_.emplace(*options_.delete_credentials, options_.environment);
}

Result<std::unique_ptr<S3Session>> S3Session::open(S3Options options, Clock& clock) {
  TRY_ASSIGN(S3Endpoint endpoint, S3Endpoint::parse(options.endpoint, options.bucket, options.path_style));
  HttpClientOptions http;
  http.ca_file = options.ca_file;
  if (http.ca_file.empty() && options.environment) http.ca_file = options.environment("AWS_CA_BUNDLE").value_or("");
  // One more per listing: the next page is on its way while the last one is judged.
  http.max_connections = std::max(1U, options.max_in_flight) + options.in_flight.value_or(profile_of(S3Server::aws).limits.most);
  TRY_ASSIGN(std::unique_ptr<HttpClient> client, HttpClient::create(std::move(http)));
  return std::unique_ptr<S3Session>(new S3Session(std::move(options), std::move(endpoint), clock, std::move(client)));
}

S3Parties S3Session::parties(Power power) {
  const bool own = power == Power::deleting && deleting_;
  return {endpoint_, options_.region, format("the {} ({})", own ? "deleting keys" : "keys", credentials(power).description())};
}

S3Session::Pending S3Session::send(S3Call call, Power power, const SendGate* gate) {
  Pending pending;
  pending.call_ = std::move(call);
  auto keys = credentials(power).get();
  if (!keys) {
    pending.failed_ = std::move(keys).error();
    return pending;
  }
  pending.used_ = *std::move(keys);
  const S3Call& sent = pending.call_;
  const S3Endpoint::Address address = endpoint_.address(sent.target, sent.key);

  SigningInput input{.method = sent.method, .host = address.host, .path = address.path, .query = {}, .headers = sent.headers,
                     .payload_sha256 = sha256_hex(sent.body), .region = options_.region};
  HttpRequest request;
  request.url = endpoint_.url(address);
  for (const auto& [name, value] : sent.query) {
    input.query.emplace_back(s3_encode(name, Slash::encode), s3_encode(value, Slash::encode));
    request.url += (input.query.size() == 1 ? '?' : '&') + input.query.back().first + '=' + input.query.back().second;
  }
  request.method = sent.method;
  request.headers = sent.headers;
  for (HttpHeader& header : sign(input, pending.used_, clock_.now() + clock_offset_.load())) request.headers.push_back(std::move(header));
  request.body = sent.body;
  request.timeout = sent.timeout.value_or(options_.request_timeout);
  request.max_body_bytes = sent.max_answer_bytes;
  if (gate != nullptr) {
    request.connection = Connection::fresh;
    request.may_send = [gate] { return gate->is_open(); };
  }
  if (StoreTraffic* const traffic = options_.traffic) {
    const std::string_view operation = operation_of(sent);
    traffic->request_began(options_.store_name, operation);
    // The client, whose thread calls this, goes before the options.
    request.on_end = [this, operation, changes = gate != nullptr](const HttpEnd& end) {
      options_.traffic->request_ended(options_.store_name, operation, status_of(end, changes), end.took);
    };
  }
  pending.answer_ = http_->send(std::move(request));
  return pending;
}

Result<HttpResponse> S3Session::read(S3Call call) {
  const BootTime begun = clock_.boot_now();
  auto result = finish(start(std::move(call)));
  if (result) note_latency(clock_.boot_now() - begun);
  return result;
}

Result<HttpResponse> S3Session::ask_once(S3Call call, const std::stop_token& stop) {
  call.timeout = kOnceTimeout;
  Pending pending = start(call);
  while (!pending.failed_ && pending.answer_.wait_for(kStopTick) != std::future_status::ready) {
    if (stop.stop_requested() || options_.stop.stop_requested()) return stopped();
  }
  Verdict verdict = judge(call, pending.get(), Power::reading);
  if (!verdict.result && verdict.result.error().code == ErrorCode::in_doubt) verdict.result.error().code = ErrorCode::unavailable;
  return std::move(verdict.result);
}

Error S3Session::stopped() const { return {ErrorCode::cancelled, format("waiting for {} was stopped", endpoint_.authority())}; }

// Of a request that changes nothing. A server that is well gets the time to answer what ends in order; of one that hangs no more is asked.
Result<HttpResponse> S3Session::await(Pending& pending) {
  if (pending.failed_ || !options_.stop.stop_possible()) return pending.get();
  std::optional<std::chrono::steady_clock::time_point> give_up_at;  // sockets do not stop with a test's clock
  while (pending.answer_.wait_for(gave_up_ ? std::chrono::milliseconds(0) : kStopTick) != std::future_status::ready) {
    if (!options_.stop.stop_requested()) continue;
    const auto now = std::chrono::steady_clock::now();
    if (!give_up_at) give_up_at = now + kLastWait;
    if (!gave_up_ && now < *give_up_at) continue;
    gave_up_ = true;
    return stopped();
  }
  return pending.get();
}

// Of several at once the last one wins: this is a smoothed figure.
void S3Session::note_latency(std::chrono::nanoseconds took) {
  const auto before = latency_.load();
  latency_ = before.count() == 0 ? took : before + (took - before) / 4;
}

// A time-out or a reset is in_doubt, whatever the request.
void S3Session::note_strain(const Result<HttpResponse>& result) {
  if (!result && (result.error().code == ErrorCode::throttled || result.error().code == ErrorCode::in_doubt)) note_push_back();
}

void S3Session::note_retry(std::string_view operation) {
  if (options_.traffic != nullptr) options_.traffic->request_retried(options_.store_name, operation);
}

S3Session::Pending S3Session::start(S3Call call) {
  if (!gave_up_) return send(std::move(call), Power::reading, nullptr);
  Pending pending;
  pending.call_ = std::move(call);
  pending.failed_ = stopped();
  return pending;
}

S3Session::Verdict S3Session::judge(const S3Call& call, Result<HttpResponse> answer, Power power) {
  if (!answer) return {with_context(std::move(answer).error(), "cannot " + call.intent.what)};
  const auto date = parse_http_date(answer->header("Date"));
  if (is_success(answer->status)) return {std::move(answer), {}, date, true};
  S3Problem problem = problem_of(*answer);
  const int status = answer->status;
  if (call.method == HttpMethod::head && problem.code.empty() && (status == 400 || status == 403 || status == 404)) {
    return diagnose(call, status);
  }
  Error error = s3_error(*answer, problem, call.target, call.intent, parties(power));
  return {std::move(error), std::move(problem), date, true};
}

// Answers to HEAD have no body, so most servers give no reason.
S3Session::Verdict S3Session::diagnose(const S3Call& refused, int status) {
  S3Call call = refused;
  call.method = HttpMethod::get;
  if (call.target == S3Target::object) call.headers.push_back({"Range", "bytes=0-0"});
  else call.query = {{"list-type", "2"}, {"max-keys", "1"}};
  Pending pending = start(call);
  Verdict verdict = judge(call, await(pending), Power::reading);
  const bool is_there = verdict.result || verdict.problem.code == "InvalidRange";  // of an empty object no byte can be had
  if (!is_there) return verdict;
  verdict.result = Error{ErrorCode::unavailable, format("cannot {} at {}: the server answers {} to HEAD, and has it for GET", call.intent.what,
                                                        endpoint_.authority(), status)};
  return verdict;
}

bool S3Session::remedy(const Verdict& verdict, const Credentials& used, Remedies& applied) {
  const std::string& code = verdict.problem.code;
  if (code == "RequestTimeTooSkewed" && verdict.date && !std::exchange(applied.clock, true)) {
    // Signed by the server's clock we can at least ask it for its time, so that the clock_skew guard refuses with numbers.
    clock_offset_ = *verdict.date - clock_.now();
    return true;
  }
  // Whatever the server's words for it: keys that were rotated meanwhile are taken up.
  const bool is_refused = !verdict.result && verdict.result.error().code == ErrorCode::permission_denied && verdict.was_answered;
  if (!is_refused || std::exchange(applied.keys, true)) return false;
  const auto now = reading_.get();
  return now && *now != used;
}

Result<HttpResponse> S3Session::finish(Pending pending) {
  Remedies applied;
  for (int attempt = 1;; ++attempt) {
    Verdict verdict = judge(pending.call_, await(pending), Power::reading);
    note_strain(verdict.result);
    if (verdict.result) {
      retry_.succeeded();
      return std::move(verdict.result);
    }
    if (!remedy(verdict, pending.used_, applied)) {
      Error error = std::move(verdict.result).error();
      const auto wait = retry_.next(error, attempt, RetryPolicy::Effect::none);
      // Nothing was to change, so nothing is in doubt.
      if (error.code == ErrorCode::in_doubt) error.code = ErrorCode::unavailable;
      if (wait) clock_.sleep_for(*wait, options_.stop);
      // What may pass is not waited for any more; what the server refuses it still does.
      const bool may_pass = error.code == ErrorCode::unavailable || error.code == ErrorCode::throttled;
      if (may_pass && options_.stop.stop_requested()) return with_context(stopped(), "cannot " + pending.call_.intent.what);
      if (!wait) return error;
    }
    note_retry(operation_of(pending.call_));
    pending = start(std::move(pending.call_));
  }
}

bool S3Session::wait_for_better(const Error& error, int attempt, std::string_view operation) {
  if (error.code != ErrorCode::corrupt || attempt >= kCorruptAttempts || options_.stop.stop_requested()) return false;
  clock_.sleep_for(kCorruptDelay * attempt, options_.stop);
  note_retry(operation);
  return true;
}

std::optional<std::chrono::milliseconds> S3Session::wait_before_change(const Error& error, int attempt, std::string_view operation) {
  if (options_.stop.stop_requested()) return std::nullopt;
  const auto wait = retry_.next(error, attempt, RetryPolicy::Effect::mutates);
  if (wait) note_retry(operation);
  return wait;
}

S3Session::Pending S3Session::start_change(S3Call call, const SendGate& gate) { return send(std::move(call), Power::deleting, &gate); }

Result<HttpResponse> S3Session::finish_change(Pending pending) {
  Verdict verdict = judge(pending.call_, pending.get(), Power::deleting);
  note_strain(verdict.result);
  if (verdict.result) {
    retry_.succeeded();
    return std::move(verdict.result);
  }
  Error error = std::move(verdict.result).error();
  // An answer "503" may come from a proxy whose server went on. Only the server's own word counts.
  const bool did_nothing = is_throttling_code(verdict.problem.code);
  if (verdict.was_answered && !did_nothing && (error.code == ErrorCode::throttled || error.code == ErrorCode::unavailable)) {
    error.code = ErrorCode::in_doubt;
  }
  if (error.code == ErrorCode::corrupt) error.code = ErrorCode::in_doubt;
  return error;
}

}  // namespace heimdall
