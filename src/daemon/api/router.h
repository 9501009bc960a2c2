#pragma once

#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "httpd/http_server.h"

namespace heimdall {

// One request on its way to its handler; borrowed for the length of the call.
struct ApiCall {
  const ServerRequest& request;
  const std::map<std::string, std::string>& path;  // what the pattern's {names} stand for
  std::stop_token stop;                            // the service ends: give up
};

// Answers; never throws. Where it runs tells how long it may take.
using ApiHandler = std::function<ServerResponse(const ApiCall&)>;

// Where a handler runs: what only looks at memory at once, on the server's thread; what reads the state directory, what asks stores and databases, and doctor
// on threads of their own, so that none of them holds up another kind.
enum class RunsOn { server, records, stores, doctor };

struct Route {
  std::string method;   // GET (HEAD, too), POST, DELETE
  std::string pattern;  // "/api/v1/runs/{id}": a {name} stands for one segment that is not empty
  RunsOn runs_on = RunsOn::server;
  ApiHandler handle;
};

// Which route a request belongs to. Filled once, then thread-safe.
class Router {
 public:
  void add(Route route);
  const std::vector<Route>& routes() const { return routes_; }

  struct Found {
    const Route* route;
    std::map<std::string, std::string> path;
  };
  struct WrongMethod {
    std::string pattern;
    std::string allow;  // "GET, HEAD, POST"
  };
  struct NotFound {};
  using Match = std::variant<Found, WrongMethod, NotFound>;
  // A pattern without {names} goes before one with them.
  Match find(std::string_view method, std::string_view path) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace heimdall
