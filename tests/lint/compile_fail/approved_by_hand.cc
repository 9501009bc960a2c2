// says: private
// Only approve() makes an ApprovedPlan.
#include "pipeline/approve.h"

using namespace heimdall;

Result<ApprovedPlan> go(Plan plan) {
#ifdef MISUSE
  return ApprovedPlan(std::move(plan));
#else
  return approve(std::move(plan), {});
#endif
}
