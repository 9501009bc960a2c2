#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "daemon/api/api.h"
#include "daemon/api/problem.h"
#include "daemon/api/router.h"

// The routes of the API by what they are about. Each adds its own to a router; `context` must outlive it.

namespace heimdall {

void add_service_routes(Router& router, const ApiContext& context);    // /, /livez, /readyz, /metrics, /metrics/storage, the OpenAPI document
void add_run_routes(Router& router, const ApiContext& context);        // /api/v1/runs but for its events
void add_event_routes(Router& router, const ApiContext& context);      // server-sent events
void add_plan_routes(Router& router, const ApiContext& context);       // /api/v1/plans
void add_bucket_routes(Router& router, const ApiContext& context);     // /api/v1/buckets and /api/v1/schedules
void add_question_routes(Router& router, const ApiContext& context);   // explain and doctor

// A JSON answer, one line.
ServerResponse json_response(int status, const nlohmann::ordered_json& json);
// 202 with Location: a run that was submitted.
ServerResponse accepted_run(const std::string& run_id, nlohmann::ordered_json more = nlohmann::ordered_json::object());

Problem no_such_run(std::string_view run_id);
// With a hint that names the nearest one; for a bucket of a body or a query, `field` names it.
Problem no_such_bucket(const Config& config, const std::string& name, int status);

// The document at /api/v1/openapi.json (openapi.json in this folder, part of the program).
std::string_view openapi_document();

}  // namespace heimdall
