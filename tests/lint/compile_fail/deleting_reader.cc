// says: remove
// Planning gets a store that cannot delete.
#include "ports/object_store.h"

using namespace heimdall;

#ifdef MISUSE
using Store = ObjectReader;
#else
using Store = ObjectStore;
#endif

Result<std::vector<RemoveOutcome>> go(Store& store, std::span<const ObjectMeta> objects, const SendGate& gate) {
  return store.remove(objects, gate);
}
