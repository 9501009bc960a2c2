#include "pipeline/approve.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "pipeline/judge.h"

namespace heimdall {

namespace {

constexpr std::string_view kMakeAnother = "make a new plan with `heimdall-storage plan -o FILE`";

Error stale(std::string message) {
  return Error{ErrorCode::failed_precondition, std::move(message), std::string(kMakeAnother)};
}

Result<void> check_bucket(const BucketPlan& bucket, std::span<const BucketPolicy> policies) {
  const auto policy = std::find_if(policies.begin(), policies.end(),
                                   [&](const BucketPolicy& p) { return p.name == bucket.bucket; });
  if (policy == policies.end()) {
    return stale(format("the plan deletes in bucket '{}', which is not in the configuration (or not chosen by --bucket)",
                        bucket.bucket));
  }
  if (policy->mode != Mode::remove && bucket.candidates > 0) {
    return Error{ErrorCode::not_approved, format("bucket '{}' is in `mode: report`: nothing in it is deleted", bucket.bucket),
                 "set `mode: delete` on the bucket in the configuration to allow it"};
  }
  if (policy->digest != bucket.policy_digest) {
    return stale(format("the configuration of bucket '{}' has changed since the plan was made", bucket.bucket));
  }
  return {};
}

}  // namespace

Result<ApprovedPlan> approve(Plan plan, const Limits& limits) {
  if (limits.used_by) return stale(format("the plan was already carried out, by run {}; a plan works once", *limits.used_by));
  if (limits.now > plan.expires()) {
    return stale(format("the plan of {} expired at {}", rfc3339(plan.created()), rfc3339(plan.expires())));
  }
  if (limits.now + kMaxClockSkew < plan.created()) {
    return stale(format("the plan was made at {}, which is in the future; is the clock right?", rfc3339(plan.created())));
  }
  for (const BucketPlan& bucket : plan.buckets()) TRY(check_bucket(bucket, limits.policies));
  return ApprovedPlan(std::move(plan));
}

}  // namespace heimdall
