#include "pipeline/listing/early_listing.h"

#include <pthread.h>

namespace heimdall {

EarlyListing::EarlyListing(ObjectReader& store, const std::string& prefix) {
  const std::uint64_t most_bytes = store.listing_limits().early_bytes;
  if (most_bytes == 0) return;
  thread_ = std::jthread([this, &store, range = ListRange{prefix, "", ""}, most_bytes](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "early");
    list(store, range, most_bytes, stop);
  });
}

void EarlyListing::list(ObjectReader& store, const ListRange& range, std::uint64_t most_bytes, const std::stop_token& stop) {
  auto listing = store.list(range);
  if (!listing) {
    found_.failure = std::move(listing).error();
    return;
  }
  found_.listing = std::move(*listing);
  std::uint64_t bytes = 0;
  while (!stop.stop_requested() && bytes < most_bytes && !found_.is_last) {
    ObjectPage page;
    const auto status = found_.listing->next(page);
    if (!status) {
      found_.failure = status.error();
      return;
    }
    bytes += page.memory();
    found_.is_last = *status == PageStatus::last;
    found_.pages.push_back(std::move(page));
  }
}

std::optional<EarlyPages> EarlyListing::take() {
  if (!thread_.joinable()) return std::nullopt;
  thread_.request_stop();
  thread_.join();
  return std::move(found_);
}

}  // namespace heimdall
