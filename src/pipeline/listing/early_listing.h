#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "model/object.h"
#include "ports/object_store.h"

namespace heimdall {

// What was listed of a bucket before anybody could judge it: pages, and the listing that goes on behind them.
struct EarlyPages {
  std::vector<ObjectPage> pages;
  std::unique_ptr<Listing> listing;
  bool is_last = false;  // the pages are all there is
};

// Lists the beginning of a bucket on a thread of its own, while the references are read: a store need not wait for a database. As references may be
// read before or during the listing (invariant 3), this changes no verdict. Stops at so many bytes that memory stays bounded (invariant 11).
class EarlyListing {
 public:
  // Does nothing where the store's limits allow no early pages. `store` must outlive it.
  EarlyListing(ObjectReader& store, const std::string& prefix);
  // Ends after the page that is under way.
  ~EarlyListing() = default;

  // Ends after the page that is under way, and gives what there is. nullopt, so that it is listed anew: nothing was begun, it failed, or it has waited
  // longer than servers remember where a list stood (MinIO: 3 minutes).
  std::optional<EarlyPages> take();

 private:
  void list(ObjectReader& store, const ListRange& range, std::uint64_t most_bytes, const std::stop_token& stop);

  using Time = std::chrono::steady_clock;

  EarlyPages found_;
  bool has_failed_ = false;
  Time::time_point last_page_;
  std::jthread thread_;  // after what it writes into
};

}  // namespace heimdall
