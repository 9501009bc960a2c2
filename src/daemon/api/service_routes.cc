#include <memory>
#include <mutex>

#include "daemon/api/fields.h"
#include "daemon/api/routes.h"
#include "daemon/readiness.h"
#include "daemon/storage_health.h"

namespace heimdall {

namespace {

constexpr const char* kPage = R"html(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Heimdall Storage</title>
<h1>Heimdall Storage</h1>
<p>Finds the objects that no database row refers to, says why, and reclaims them.</p>
<ul>
<li><a href="/livez">/livez</a>: the process runs
<li><a href="/readyz">/readyz</a>: stores, databases and state, each by name
<li><a href="/metrics">/metrics</a>: for Prometheus
<li><a href="/metrics/storage">/metrics/storage</a>: how much is orphaned, and whether that is healthy
<li><a href="/api/v1/runs">/api/v1/runs</a>, <a href="/api/v1/plans">/api/v1/plans</a>: what was done, and what could be
<li><a href="/api/v1/buckets">/api/v1/buckets</a>, <a href="/api/v1/schedules">/api/v1/schedules</a>: figures, and when what runs
<li><a href="/api/v1/openapi.json">/api/v1/openapi.json</a>: everything else, as OpenAPI 3.1
</ul>
<p>What changes something needs a token and is a POST or DELETE: this page cannot do it.</p>
</html>
)html";

ServerResponse shared_response(int status, std::string content_type, std::shared_ptr<const std::string> body) {
  ServerResponse response;
  response.status = status;
  response.content_type = std::move(content_type);
  response.body = std::move(body);
  return response;
}

// The body of /metrics/storage. Asked thousands of times a second it costs a lock and a pointer: it is made anew when the figures or the configuration
// changed, and for its time stamp once a second.
class StoragePage {
 public:
  std::shared_ptr<const std::string> body(const ApiContext& context) {
    const auto config = context.config();
    const std::uint64_t version = context.board.version();
    const Timestamp now = context.clock.now();
    const auto second = std::chrono::floor<std::chrono::seconds>(now);
    const std::scoped_lock lock(mutex_);
    if (body_ == nullptr || version != version_ || config != config_ || second != second_) {
      body_ = std::make_shared<const std::string>(storage_health_json(context.board.buckets(), config->health, now));
      version_ = version;
      config_ = config;
      second_ = second;
    }
    return body_;
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<const std::string> body_;
  std::uint64_t version_ = 0;
  std::shared_ptr<const Config> config_;
  std::chrono::sys_seconds second_{};
};

std::string metrics_text(const ApiContext& context) {
  MetricsView view;
  view.buckets = context.board.buckets();
  view.schedules = context.scheduler.states();
  view.runs = context.runner.all_live();
  view.dependencies = context.dependencies.states();
  view.now = context.clock.now();
  return context.metrics.render(view);
}

}  // namespace

void add_service_routes(Router& router, const ApiContext& context) {
  const auto page = std::make_shared<const std::string>(kPage);
  router.add({"GET", "/", RunsOn::server, [page](const ApiCall&) {
                ServerResponse response = shared_response(200, "text/html; charset=utf-8", page);
                response.headers.emplace_back("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
                return response;
              }});
  const auto alive = std::make_shared<const std::string>("{\"status\":\"alive\"}\n");
  router.add({"GET", "/livez", RunsOn::server, [alive](const ApiCall&) { return shared_response(200, "application/json", alive); }});
  router.add({"GET", "/readyz", RunsOn::server, [&context](const ApiCall&) {
                const auto states = context.dependencies.states();
                const Readiness ready = readiness(states, context.metrics.last_reload(), context.clock.now());
                return ServerResponse::text(ready.status, "application/json", ready.body + "\n");
              }});
  router.add({"GET", "/metrics", RunsOn::server,
              [&context](const ApiCall&) { return ServerResponse::text(200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(context)); }});
  const auto storage = std::make_shared<StoragePage>();
  router.add({"GET", "/metrics/storage", RunsOn::server,
              [&context, storage](const ApiCall&) { return shared_response(200, "application/json", storage->body(context)); }});
  const auto document = std::make_shared<const std::string>(openapi_document());
  router.add({"GET", "/api/v1/openapi.json", RunsOn::server, [document](const ApiCall&) { return shared_response(200, "application/json", document); }});
}

}  // namespace heimdall
