#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ports/object_store.h"

namespace heimdall::testing {

enum class StoreFault {
  error,                   // nothing was done, `unavailable`
  timeout_after_effect,    // done, but the answer is lost: remove() in_doubt, others unavailable
  timeout_without_effect,  // remove(): in_doubt although nothing was done; others unavailable
  short_page,              // half of the page, `more`; the next call brings the rest: nothing is wrong
  duplicate_page,          // the next call brings the same page again
  reordered_page,          // the first and the last key of the page change places
};

enum class StoreCall { any, identity, server_time, split, list, next_page, head, inspect, remove, settle, hold, ping, capacity };

// Fails the `call`-th call (from 1; 0 never) of `verb`. A page fault on a call that is no page does nothing.
struct StoreFaultPlan {
  StoreFault fault = StoreFault::error;
  std::uint64_t call = 0;
  StoreCall verb = StoreCall::any;
};

// Passes everything to `inner`, but for one call. Thread-safe if `inner` is. Both `inner` and this outlive its listings.
//   for (n = 1;; ++n) { FaultyStore store(inner, {fault, n}); ...; if (!store.reached()) break; }
class FaultyStore : public ObjectStore {
 public:
  FaultyStore(ObjectStore& inner, StoreFaultPlan plan) : inner_(inner), plan_(plan) {}

  // How many calls of the verb were made so far.
  std::uint64_t calls() const { return calls_; }
  // Whether the planned call was made.
  bool reached() const { return plan_.call != 0 && calls_ >= plan_.call; }

  Result<std::string> identity() override;
  Result<Timestamp> server_time() override;
  Result<std::vector<ListRange>> split(const ListRange& range, const SplitHints& hints) override;
  ListingLimits listing_limits() override { return inner_.listing_limits(); }
  StoreStrain strain() const override { return inner_.strain(); }
  Result<std::unique_ptr<Listing>> list(const ListRange& range) override;
  Result<ObjectMeta> head(const ObjectKey& key) override;
  std::vector<Result<ObjectMeta>> inspect(std::span<const ObjectKey> keys) override;
  Result<void> ping(const std::stop_token& stop) override;
  Result<std::optional<StoreCapacity>> capacity() override;
  std::size_t max_batch() const override { return inner_.max_batch(); }
  Result<std::vector<RemoveOutcome>> remove(std::span<const ObjectMeta> objects, const SendGate& gate) override;
  RemoveOutcome settle(const ObjectMeta& object) override;
  std::chrono::milliseconds settle_delay() const override { return inner_.settle_delay(); }
  Result<std::unique_ptr<BucketHold>> hold() override;

 private:
  friend class FaultyListing;
  // Counts one call; whether this is the one.
  bool strikes(StoreCall verb);
  // As strikes(), where only the faults that lose the whole answer apply.
  bool fails(StoreCall verb);

  ObjectStore& inner_;
  const StoreFaultPlan plan_;
  std::atomic<std::uint64_t> calls_{0};
};

}  // namespace heimdall::testing
