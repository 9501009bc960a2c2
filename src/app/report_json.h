#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "app/doctor.h"
#include "model/guard.h"
#include "model/health.h"
#include "model/run_report.h"
#include "pipeline/explain.h"
#include "pipeline/findings.h"
#include "pipeline/plan.h"

// The JSON shapes that the command line and the API share (docs/json.md): one place, so that they cannot drift.

namespace heimdall {

// `type` is what the shape is to be called: "summary", "run". `status` stands for that of the report: see summary_status().
nlohmann::ordered_json report_json(std::string_view type, const RunReport& report, std::string_view status);
nlohmann::ordered_json figures_json(const BucketFigures& figures);
nlohmann::ordered_json refusal_json(const Refusal& refusal);
nlohmann::ordered_json unlisted_json(const RangeFailure& failure);
nlohmann::ordered_json plan_json(const Plan& plan);
nlohmann::ordered_json candidate_json(const BucketPlan& bucket, const Candidate& candidate);
nlohmann::ordered_json deletion_json(const Deletion& deletion);
nlohmann::ordered_json explanation_json(const Explanation& explanation);
nlohmann::ordered_json check_json(const Check& check);
nlohmann::ordered_json health_json(const std::string& bucket, const BucketFigures& figures, const HealthThresholds& thresholds);
nlohmann::ordered_json error_json(const Error& error);

// A run that was interrupted did a part of its work: "partial". The others as they are.
std::string_view summary_status(RunStatus status);

// One line, without its end. Messages quote names that may hold any byte: what is not UTF-8 in them is replaced, never an exception.
std::string to_text(const nlohmann::ordered_json& json);

}  // namespace heimdall
