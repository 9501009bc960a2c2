#include <algorithm>

#include "app/doctor.h"
#include "app/report_json.h"
#include "app/workspace.h"
#include "base/format.h"
#include "base/text.h"
#include "daemon/api/fields.h"
#include "daemon/api/routes.h"
#include "pipeline/explain.h"

namespace heimdall {

namespace {

using Json = nlohmann::ordered_json;

// "s3://BUCKET/KEY", everything behind the bucket literal; nullopt if it names no object.
std::optional<std::pair<std::string, std::string>> split_object(const std::string& object) {
  constexpr std::string_view kScheme = "s3://";
  const std::size_t slash = object.starts_with(kScheme) ? object.find('/', kScheme.size()) : std::string::npos;
  if (slash == std::string::npos || slash == kScheme.size() || slash + 1 == object.size()) return std::nullopt;
  return std::pair(object.substr(kScheme.size(), slash - kScheme.size()), object.substr(slash + 1));
}

ServerResponse explain_object(const ApiContext& context, const ApiCall& call) {
  QueryFields fields(call.request);
  const auto object = fields.text("object");
  const auto parts = object ? split_object(*object) : std::nullopt;
  if (!parts) {
    fields.refuse("object", object ? format("'{}' names no object", printable(*object)) : "'object' is missing",
                  "write ?object=s3://BUCKET/KEY, the key percent-encoded");
  }
  if (const auto problem = fields.problem()) return response_of(*problem);
  const auto config = context.config();
  auto workspace = Workspace::open(*config, {}, context.clock, &context.metrics, call.stop);
  if (!workspace) return response_of(problem_of(workspace.error()));
  BucketWorkspace* const bucket = (*workspace)->find(parts->first);
  if (bucket == nullptr) {
    Problem problem = no_such_bucket(*config, parts->first, 422);
    problem.field = "object";
    return response_of(problem);
  }
  auto reader = bucket->reader();
  if (!reader) return response_of(problem_of(reader.error()));
  const auto explanation = explain(**reader, bucket->sources(), bucket->policy(), (*workspace)->directory().ledger(bucket->policy().name), parts->second, call.stop);
  if (!explanation) return response_of(problem_of(explanation.error()));
  return json_response(200, explanation_json(*explanation));
}

ServerResponse run_doctor(const ApiContext& context, const ApiCall& call) {
  QueryFields fields(call.request);
  const auto bucket = fields.text("bucket");
  const auto config = context.config();
  if (bucket && config->find_bucket(*bucket) == nullptr) {
    const Problem unknown = no_such_bucket(*config, *bucket, 400);
    fields.refuse("bucket", unknown.detail, unknown.hint);
  }
  if (const auto problem = fields.problem()) return response_of(*problem);
  DoctorRequest request;
  request.deleting = TryDeleting::no;
  if (bucket) request.buckets.push_back(*bucket);
  Json checks = Json::array();
  auto worst = Check::Status::ok;
  NoProgress progress;
  doctor(*config, request, context.clock, progress,
         [&](const Check& check) {
           checks.push_back(check_json(check));
           worst = std::max(worst, check.status);
         },
         call.stop, &context.metrics);
  const std::string_view status = worst == Check::Status::ok ? "ok" : worst == Check::Status::warning ? "warning" : "failed";
  return json_response(200, {{"status", status}, {"checks", std::move(checks)}});
}

}  // namespace

void add_question_routes(Router& router, const ApiContext& context) {
  router.add({"GET", "/api/v1/explain", RunsOn::stores, [&context](const ApiCall& call) { return explain_object(context, call); }});
  router.add({"GET", "/api/v1/doctor", RunsOn::doctor, [&context](const ApiCall& call) { return run_doctor(context, call); }});
}

}  // namespace heimdall
