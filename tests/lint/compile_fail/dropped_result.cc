// says: nodiscard|ignoring
// An error that nobody looked at is how "the listing failed" becomes "the bucket is empty" (invariant 2).
#include "base/error.h"

heimdall::Result<int> count();

int main() {
#ifdef MISUSE
  count();
#else
  return count().value_or(1);
#endif
}
