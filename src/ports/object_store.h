#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "model/object.h"

namespace heimdall {

// The keys k with `prefix`, after < k <= until in byte order; an empty bound is none.
struct ListRange {
  std::string prefix;
  std::string after;
  std::string until;
  // Set by split(), for list() of the same store: it looked, and found that every key of the range begins with this. What was created
  // since then may be missed: it is young.
  std::string narrowed = {};

  bool ends_before(std::string_view key) const { return !until.empty() && key > until; }
  bool holds(std::string_view key) const { return key.starts_with(prefix) && key > after && !ends_before(key); }
};

// What is known of a range before it is cut.
struct SplitHints {
  unsigned wanted = 2;                        // parts
  std::span<const std::string> sample = {};   // sorted keys that are likely to exist, about equally many objects apart
  std::uint64_t expected_keys = 0;            // in the range, by and large; 0: not known
};

// How many listings a store takes side by side.
struct ListingLimits {
  unsigned first = 2;               // to begin with
  unsigned most = 2;                // equal to `first`: not to be adapted
  std::uint64_t worthwhile = 0;     // keys that a range should have at least: each costs requests of its own
  std::uint64_t early_bytes = 0;    // of pages that are worth listing while the references are still being read
};

enum class PageStatus {
  more,  // call again
  last,  // the peer said that the range ends here: the listing of this range is complete
};

// A symbolic link that lies in a range and leads to another place of the same store: what is listed at the place has a second name there.
struct TreeLink {
  std::string key;
  std::string place;  // a key, or all below a directory, which ends in '/' or is empty
  auto operator<=>(const TreeLink&) const = default;
};

// One listing of one range, in strict byte order of keys. Not thread-safe; several may run side by side.
class Listing {
 public:
  virtual ~Listing() = default;
  // Clears `page` and fills it; it may be empty whatever the status. Keys of is_reserved_key() are left out.
  // After an error the range is incomplete for good: nothing of it may be judged. Transient errors were retried inside.
  virtual Result<PageStatus> next(ObjectPage& page) = 0;
  // Those of the range that were met so far: after its last page all of them, else at least all up to the last key that was listed.
  virtual std::span<const TreeLink> links() const { return {}; }
};

// What a store says about how its bucket is kept.
struct StoreFacts {
  enum class Versioning { off, enabled, suspended, unknown };
  std::string server;  // what it calls itself; empty if it does not say
  Versioning versioning = Versioning::off;
  bool object_lock = false;
  std::size_t expiry_rules = 0;         // lifecycle rules that make objects vanish by themselves
  std::vector<std::string> not_told;    // what could not be asked, and why, one sentence each
};

// How ObjectStore::try_deleting() finds out.
enum class TryBy {
  asking,   // changes nothing
  writing,  // writes one object of ours under ".heimdall-storage/" and deletes it again
};

// What try_deleting() learned; an error says what is missing.
struct DeleteFacts {
  bool proved = false;             // false: only `writing` can tell
  bool honours_if_match = false;   // seen: a delete with a wrong ETag was refused. Only `writing` can see it
  std::string not_told = {};       // what `writing` could not try or tidy up, and why; one sentence, or empty
};

// How hard the store finds what is asked of it.
struct StoreStrain {
  std::uint64_t push_backs = 0;         // answers so far that said "slow down", or did not come in time
  std::chrono::nanoseconds latency{0};  // of a request that changes nothing, lately; 0: not known
};

// What the disks behind a store hold, whoever's it is.
struct StoreCapacity {
  std::uint64_t total_bytes = 0;
  std::uint64_t used_bytes = 0;
  std::uint64_t free_bytes = 0;  // for us: without what is reserved or needed for redundancy
  bool operator==(const StoreCapacity&) const = default;
};

// The half of a store that cannot change anything: all that planning ever gets. Thread-safe.
class ObjectReader {
 public:
  virtual ~ObjectReader() = default;

  // Names the physical bucket: equal for two ways to reach the same one, different for another one of the same name.
  // not_found if the bucket does not exist; permission_denied, unavailable.
  virtual Result<std::string> identity() = 0;

  // Now, by the clock that dates the objects.
  virtual Result<Timestamp> server_time() = 0;

  // About `hints.wanted` ranges that tile `range` (no gap, no overlap; checked by check_tiling()), in key order; one range is always right.
  // The first one may be what is left of a listing that is under way. May ask the store.
  virtual Result<std::vector<ListRange>> split(const ListRange& range, const SplitHints& hints) = 0;

  virtual Result<std::unique_ptr<Listing>> list(const ListRange& range) = 0;

  // What suits the store; may ask it once.
  virtual ListingLimits listing_limits() { return {}; }

  // The object as it is now. not_found only if the store said that it does not exist.
  virtual Result<ObjectMeta> head(const ObjectKey& key) = 0;

  // head() of several keys, in order, as the store does it cheapest.
  virtual std::vector<Result<ObjectMeta>> inspect(std::span<const ObjectKey> keys) = 0;

  virtual Result<StoreFacts> facts() { return StoreFacts{}; }

  virtual StoreStrain strain() const { return {}; }

  // Whether the store and its bucket are there for us, quickly: one look of a few seconds at most, nothing is tried again. Errors as of identity(), which
  // it is where that is quick; cancelled.
  virtual Result<void> ping(const std::stop_token& /*stop*/) {
    TRY(identity());
    return {};
  }

  // nullopt where the store does not tell, or not to us; unavailable. One look as of ping(); nothing is remembered.
  virtual Result<std::optional<StoreCapacity>> capacity() { return std::optional<StoreCapacity>(); }
};

// What became of one object of a remove().
struct RemoveOutcome {
  enum class Kind {
    deleted,       // the store said so for this key
    already_gone,  // it was absent before we acted
    changed,       // it is no longer the object that was planned; nothing was done
    failed,        // it is still there; `message` says why
    in_doubt,      // sent without an answer: settle() it
    not_sent,      // the gate was closed: nothing was done
  };
  Kind kind = Kind::in_doubt;
  std::string message;
};

// Asked just before each mutating request leaves, retries included: a verdict gets stale (invariant 12). Thread-safe.
class SendGate {
 public:
  virtual ~SendGate() = default;
  virtual bool is_open() const = 0;
};

// Held while a process may delete in the bucket; released when destroyed or when the process dies.
class BucketHold {
 public:
  virtual ~BucketHold() = default;
};

// A store that can delete. Only sweep() and recover() get one. Thread-safe.
class ObjectStore : public ObjectReader {
 public:
  // The most objects one remove() takes.
  virtual std::size_t max_batch() const = 0;

  // Deletes `objects` (at most max_batch(), no key twice), each only if it still is what its ObjectMeta says, and only while
  // `gate` is open.
  //
  // Returns one outcome per object, in order. An error means that nothing was sent, but for in_doubt: then any subset may be gone,
  // and each object must be settled before anything else happens to it. Never retries by itself what is in doubt.
  virtual Result<std::vector<RemoveOutcome>> remove(std::span<const ObjectMeta> objects, const SendGate& gate) = 0;

  // Finishes or undoes what an interrupted remove() of `object` left behind, then looks: `deleted` if it is absent,
  // `failed` if it is there as planned, `changed` if another object is there now, `in_doubt` if the store cannot say yet.
  virtual RemoveOutcome settle(const ObjectMeta& object) = 0;

  // settle() of several, in order, as the store does it cheapest.
  virtual std::vector<RemoveOutcome> settle_all(std::span<const ObjectMeta> objects) {
    std::vector<RemoveOutcome> outcomes;
    for (const ObjectMeta& object : objects) outcomes.push_back(settle(object));
    return outcomes;
  }

  // How long after a remove() was sent the store may still act on it: settle() means nothing earlier.
  virtual std::chrono::milliseconds settle_delay() const = 0;

  // Whether we may delete here at all. permission_denied says who may not, and what to grant.
  virtual Result<DeleteFacts> try_deleting(TryBy) { return DeleteFacts{}; }

  // Keeps every other process that uses this store away from deleting in the bucket. `locked` names the holder if it can.
  virtual Result<std::unique_ptr<BucketHold>> hold() = 0;
};

}  // namespace heimdall
