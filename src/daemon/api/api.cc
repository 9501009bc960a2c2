#include "daemon/api/api.h"

#include <exception>
#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "daemon/api/access.h"
#include "daemon/api/problem.h"
#include "daemon/api/router.h"
#include "daemon/api/routes.h"
#include "daemon/api/workers.h"

namespace heimdall {

namespace {

using Respond = std::function<void(ServerResponse)>;

// What is no route is counted under one name: the metrics have no room for what strangers ask for.
constexpr std::string_view kNoRoute = "other";

// One request that is handled on a thread of ours; answered in any case.
class Waiting {
 public:
  Waiting(const ServerRequest& request, Router::Found found, Respond respond) : request_(request), found_(std::move(found)), respond_(std::move(respond)) {}
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() {
    if (respond_) respond_(response_of({503, "the service is stopping", "ask again when it is back"}));
  }

  const ServerRequest& request() const { return request_; }
  const Router::Found& found() const { return found_; }
  void answer(ServerResponse response) { std::exchange(respond_, nullptr)(std::move(response)); }

 private:
  const ServerRequest request_;
  const Router::Found found_;
  Respond respond_;
};

}  // namespace

class Api::Impl {
 public:
  explicit Impl(ApiContext context) : context_(std::move(context)) {
    add_service_routes(router_, context_);
    add_run_routes(router_, context_);
    add_event_routes(router_, context_);
    add_plan_routes(router_, context_);
    add_bucket_routes(router_, context_);
    add_question_routes(router_, context_);
  }

  void handle(const ServerRequest& request, Respond respond) {
    Router::Match match = router_.find(request.method, request.path);
    auto* const found = std::get_if<Router::Found>(&match);
    const auto* const wrong_method = std::get_if<Router::WrongMethod>(&match);
    std::string pattern(found != nullptr ? found->route->pattern : wrong_method != nullptr ? wrong_method->pattern : kNoRoute);
    respond = [this, pattern = std::move(pattern), respond = std::move(respond)](ServerResponse response) {
      context_.metrics.http_request(pattern, response.status);
      respond(std::move(response));
    };
    if (auto problem = check(request, match)) return respond(response_of(*problem));
    if (found->route->runs_on == RunsOn::server) return respond(answer({request, found->path, {}}, *found->route));
    const RunsOn where = found->route->runs_on;
    auto waiting = std::make_shared<Waiting>(request, std::move(*found), std::move(respond));
    const bool taken = workers_for(where).submit([this, waiting](const std::stop_token& stop) {
      waiting->answer(answer({waiting->request(), waiting->found().path, stop}, *waiting->found().route));
    });
    if (taken) return;
    Problem busy{429, "too many requests of this kind wait already", "ask again in a few seconds"};
    busy.headers.emplace_back("Retry-After", "5");
    waiting->answer(response_of(busy));
  }

  std::vector<std::string> routes() const {
    std::vector<std::string> routes;
    for (const Route& route : router_.routes()) routes.push_back(route.method + " " + route.pattern);
    return routes;
  }

 private:
  std::optional<Problem> check(const ServerRequest& request, const Router::Match& match) const {
    if (context_.loopback_only && context_.loopback_only()) {
      if (auto problem = check_loopback_host(request)) return problem;
    }
    if (std::holds_alternative<Router::NotFound>(match)) {
      return Problem{404, format("there is nothing at '{}'", printable(request.path.substr(0, 200))), "GET / says what there is, GET /api/v1/openapi.json in detail"};
    }
    if (const auto* const wrong = std::get_if<Router::WrongMethod>(&match)) {
      Problem problem{405, format("'{}' does not take {}", wrong->pattern, printable(request.method.substr(0, 40))), format("it takes {}", wrong->allow)};
      problem.headers.emplace_back("Allow", wrong->allow);
      return problem;
    }
    if (request.method == "GET" || request.method == "HEAD") return std::nullopt;
    return check_change(request, context_.token);
  }

  // Handlers do not throw; should memory run out in one of them, that is one request less and not the service.
  ServerResponse answer(const ApiCall& call, const Route& route) const {
    try {
      return route.handle(call);
    } catch (const std::exception& error) {
      context_.log.error("api.failed", "A request could not be answered", {{"route", route.pattern}, {"error", std::string(error.what())}});
      return response_of({500, "the service failed to answer this", "its log says why; please report it"});
    }
  }

  Workers& workers_for(RunsOn where) {
    switch (where) {
      case RunsOn::stores: return asking_;
      case RunsOn::doctor: return doctor_;
      case RunsOn::records:
      case RunsOn::server: break;
    }
    return reading_;
  }

  ApiContext context_;
  Router router_;
  // Destroyed first.
  Workers reading_{2, 256};
  Workers asking_{4, 32};
  Workers doctor_{1, 4};
};

Api::Api(ApiContext context) : impl_(std::make_unique<Impl>(std::move(context))) {}
Api::~Api() = default;
void Api::handle(const ServerRequest& request, std::function<void(ServerResponse)> respond) { impl_->handle(request, std::move(respond)); }
std::vector<std::string> Api::routes() const { return impl_->routes(); }

}  // namespace heimdall
