// says: Plan.* to .*ApprovedPlan|no matching function|invalid initialization
// Only an approved plan is carried out (section 2 of the design): sweep(Plan) is no call.
#include "pipeline/sweep/sweep.h"

using namespace heimdall;

#ifdef MISUSE
using Given = Plan;
#else
using Given = ApprovedPlan;
#endif

SweepReport go(const Given& plan, const SweepTarget& target, JournalLog& journal, Clock& clock, Progress& progress) {
  return sweep(plan, 0, target, journal, clock, {}, progress, {});
}
