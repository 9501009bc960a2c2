#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "net/http_client.h"
#include "ports/object_store.h"
#include "store/s3/credentials.h"
#include "store/s3/retry_policy.h"
#include "store/s3/s3_endpoint.h"
#include "store/s3/s3_error.h"
#include "store/s3/s3_store.h"

namespace heimdall {

// One request of the S3 API.
struct S3Call {
  HttpMethod method = HttpMethod::get;
  S3Target target = S3Target::bucket;
  std::string key = {};                                            // of an object; admin: the path
  std::vector<std::pair<std::string, std::string>> query = {};     // as it is meant, not yet encoded
  std::vector<HttpHeader> headers = {};
  std::string body = {};
  S3Intent intent = {};
  std::size_t max_answer_bytes = std::size_t{1} << 20;
  std::optional<std::chrono::milliseconds> timeout = std::nullopt;  // other than the store's
};

// What a request is counted as: one of StoreTraffic's few.
std::string_view operation_of(const S3Call& call);

// Requests to one bucket: addressed, signed anew at each attempt with the keys of that moment, answered or explained. Thread-safe.
class S3Session {
 public:
  static Result<std::unique_ptr<S3Session>> open(S3Options options, Clock& clock);

  // A request that is under way.
  class Pending {
   private:
    friend class S3Session;
    S3Call call_;
    Credentials used_;
    std::optional<Error> failed_;  // it could not be sent at all
    std::future<Result<HttpResponse>> answer_;
    Result<HttpResponse> get() { return failed_ ? Result<HttpResponse>(*failed_) : answer_.get(); }
  };

  // What changes nothing. Answers 2xx only; all else is an error of s3_error(), after transient ones were tried again. A HEAD that is refused
  // without a reason is asked again as a GET, whose answer has one: a 404 alone says neither that the bucket exists nor that S3 said it.
  // Once S3Options::stop is requested: cancelled, where the answer is not there within kLastWait. The first one that is given up gives up all.
  Pending start(S3Call call);
  Result<HttpResponse> finish(Pending pending);
  Result<HttpResponse> read(S3Call call);
  static constexpr auto kLastWait = std::chrono::milliseconds(200);  // a server that is well answers within it
  // As read(), but one attempt of at most kOnceTimeout, for those who come again anyway. cancelled if `stop` or S3Options::stop comes first.
  Result<HttpResponse> ask_once(S3Call call, const std::stop_token& stop);
  static constexpr auto kOnceTimeout = std::chrono::seconds(5);

  // read(), and the body made sense of by `parse`. What is corrupt is asked again a few times: proxies have bad moments.
  template <class T, class Parse>
  Result<T> read_as(const S3Call& call, Parse parse) {
    for (int attempt = 1;; ++attempt) {
      TRY_ASSIGN(HttpResponse response, read(call));
      Result<T> parsed = parse(std::move(response.body));
      if (parsed) return parsed;
      if (!wait_for_better(parsed.error(), attempt, operation_of(call))) return with_context(std::move(parsed).error(), "cannot " + call.intent.what);
    }
  }
  // False: it will not get better.
  bool wait_for_better(const Error& error, int attempt, std::string_view operation);

  // What may change something: one attempt on a fresh connection, only while `gate` is open, signed with the keys for deleting. Answers 2xx only.
  //   cancelled     the gate was shut: nothing was sent
  //   unavailable   it did not leave; throttled: the server said that it did nothing. Both may be sent again
  //   in_doubt      it left, and what came of it is not known
  //   others        the server refused: nothing was done
  // `gate` must live until finish_change() returned.
  Pending start_change(S3Call call, const SendGate& gate);
  Result<HttpResponse> finish_change(Pending pending);
  Result<HttpResponse> change(S3Call call, const SendGate& gate) { return finish_change(start_change(std::move(call), gate)); }
  // How long to wait before what finish_change() failed with may be sent again; nullopt: not at all.
  std::optional<std::chrono::milliseconds> wait_before_change(const Error& error, int attempt, std::string_view operation);

  // How the server takes it: "slow down", time-outs, and how long requests take lately.
  StoreStrain strain() const { return {push_backs_.load(), latency_.load()}; }
  void note_latency(std::chrono::nanoseconds took);
  // A "slow down" that was hidden in an answer 200.
  void note_push_back() { ++push_backs_; }

  const S3Endpoint& endpoint() const { return endpoint_; }
  const S3Options& options() const { return options_; }
  Clock& clock() { return clock_; }
  const std::stop_token& stop() const { return options_.stop; }

 private:
  enum class Power { reading, deleting };
  // One answer, understood.
  struct Verdict {
    Result<HttpResponse> result;
    S3Problem problem = {};
    std::optional<Timestamp> date = std::nullopt;
    bool was_answered = false;  // by whom is another question
  };
  // What is put right once per request.
  struct Remedies {
    bool clock = false;
    bool keys = false;
  };

  S3Session(S3Options options, S3Endpoint endpoint, Clock& clock, std::unique_ptr<HttpClient> http);
  CredentialSource& credentials(Power power) { return power == Power::deleting && deleting_ ? *deleting_ : reading_; }
  S3Parties parties(Power power);
  Pending send(S3Call call, Power power, const SendGate* gate);
  Result<HttpResponse> await(Pending& pending);
  Error stopped() const;
  void note_strain(const Result<HttpResponse>& result);
  void note_retry(std::string_view operation);
  Verdict judge(const S3Call& call, Result<HttpResponse> answer, Power power);
  Verdict diagnose(const S3Call& refused, int status);
  bool remedy(const Verdict& verdict, const Credentials& used, Remedies& applied);

  const S3Options options_;
  const S3Endpoint endpoint_;
  Clock& clock_;
  const std::unique_ptr<HttpClient> http_;
  CredentialSource reading_;
  std::optional<CredentialSource> deleting_;
  RetryPolicy retry_;
  std::atomic<std::uint64_t> push_backs_{0};
  std::atomic<bool> gave_up_{false};  // a stop was requested, and an answer did not come: no more is asked
  std::atomic<std::chrono::nanoseconds> latency_{std::chrono::nanoseconds(0)};       // smoothed
  std::atomic<std::chrono::nanoseconds> clock_offset_{std::chrono::nanoseconds(0)};  // server's clock - ours, for signatures only
};

}  // namespace heimdall
