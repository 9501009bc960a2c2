#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/config/config.h"
#include "daemon/board.h"
#include "daemon/dependencies.h"
#include "daemon/event_log.h"
#include "daemon/metrics.h"
#include "daemon/runner.h"
#include "daemon/scheduler.h"
#include "httpd/http_server.h"
#include "state/state_database.h"
#include "state/state_directory.h"

namespace heimdall {

// What the API shows and drives; borrowed, all thread-safe. `config` gives the configuration of the moment.
struct ApiContext {
  std::function<std::shared_ptr<const Config>()> config;
  Runner& runner;
  Scheduler& scheduler;
  Board& board;
  Dependencies& dependencies;
  EventLog& events;
  Metrics& metrics;
  StateDatabase& state;
  const StateDirectory& directory;
  Clock& clock;
  Log& log;
  std::function<Result<std::optional<std::string>>()> token;  // of the moment; nullopt: none is configured
  std::function<bool()> loopback_only;                         // whether the server is bound to loopback: the Host header is checked then
};

// Everything the service answers over HTTP: /livez, /readyz, /metrics, /metrics/storage, /api/v1/..., and a page at / that says what there is
// (docs/api.md; openapi.json). Handles what is in memory at once; what reads the state directory (2 threads), asks stores or databases (4) or is doctor (1)
// goes to threads of its own, each kind bounded: 429 if too many wait already. What changes something needs the token. Thread-safe.
class Api {
 public:
  explicit Api(ApiContext context);
  ~Api();  // asks what is under way to end and waits for it; what still waits is answered 503. Streams must have ended before
  void handle(const ServerRequest& request, std::function<void(ServerResponse)> respond);

  // "GET /api/v1/runs/{id}", ...
  std::vector<std::string> routes() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace heimdall
