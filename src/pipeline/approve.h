#pragma once

#include <optional>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "model/policy.h"
#include "pipeline/plan.h"

namespace heimdall {

// What a plan must fit to be carried out.
struct Limits {
  Timestamp now{};
  std::span<const BucketPolicy> policies;  // as they are configured now
  std::optional<std::string> used_by;      // the run that already carried this plan out
};

// A plan that somebody with the right to do so wants carried out: the only thing sweep() takes. Only approve() makes one.
class ApprovedPlan {
 public:
  const Plan& plan() const { return plan_; }

 private:
  friend Result<ApprovedPlan> approve(Plan plan, const Limits& limits);
  explicit ApprovedPlan(Plan plan) : plan_(std::move(plan)) {}
  Plan plan_;
};

// Plan + Limits --approve--> ApprovedPlan. Pure.
//
// failed_precondition if the plan was used, has expired, was made in the future, or was made under another policy or for a bucket
// that is not configured;
// not_approved if a bucket with candidates is in `mode: report`.
Result<ApprovedPlan> approve(Plan plan, const Limits& limits);

}  // namespace heimdall
