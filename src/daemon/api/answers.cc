// What the routes share.
#include "app/report_json.h"
#include "base/format.h"
#include "base/text.h"
#include "daemon/api/routes.h"

namespace heimdall {

using Json = nlohmann::ordered_json;

ServerResponse json_response(int status, const Json& json) { return ServerResponse::text(status, "application/json", to_text(json) + "\n"); }

ServerResponse accepted_run(const std::string& run_id, Json more) {
  Json json = {{"run_id", run_id}, {"status", "queued"}};
  json.update(more);
  ServerResponse response = json_response(202, json);
  response.headers.emplace_back("Location", "/api/v1/runs/" + run_id);
  return response;
}

Problem no_such_run(std::string_view run_id) {
  return {404, format("there is no run '{}'", printable(run_id)), "GET /api/v1/runs lists those that are kept"};
}

Problem no_such_bucket(const Config& config, const std::string& name, int status) {
  std::vector<std::string> known;
  std::string all;
  for (const BucketConfig& bucket : config.buckets) {
    known.push_back(bucket.policy.name);
    all += (all.empty() ? "" : ", ") + bucket.policy.name;
  }
  const auto near = nearest(name, known);
  return {status, format("bucket '{}' is not configured", printable(name)), near ? format("did you mean '{}'?", *near) : format("the configured ones are: {}", all)};
}

}  // namespace heimdall
