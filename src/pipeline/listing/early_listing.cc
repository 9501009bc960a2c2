#include "pipeline/listing/early_listing.h"

#include <pthread.h>

#include <system_error>

namespace heimdall {

namespace {

constexpr std::chrono::minutes kRemembered{2};

}  // namespace

EarlyListing::EarlyListing(ObjectReader& store, const std::string& prefix) {
  const std::uint64_t most_bytes = store.listing_limits().early_bytes;
  if (most_bytes == 0) return;
  try {
    thread_ = std::jthread([this, &store, range = ListRange{prefix, "", ""}, most_bytes](const std::stop_token& stop) {
      pthread_setname_np(pthread_self(), "early");
      list(store, range, most_bytes, stop);
    });
  } catch (const std::system_error&) {  // no thread is to be had: the scan lists it all
  }
}

void EarlyListing::list(ObjectReader& store, const ListRange& range, std::uint64_t most_bytes, const std::stop_token& stop) {
  auto listing = store.list(range);
  has_failed_ = !listing;
  if (has_failed_) return;
  found_.listing = std::move(*listing);
  std::uint64_t bytes = 0;
  while (!stop.stop_requested() && bytes < most_bytes && !found_.is_last) {
    ObjectPage page;
    const auto status = found_.listing->next(page);
    has_failed_ = !status;
    if (has_failed_) return;
    bytes += page.memory();
    found_.is_last = *status == PageStatus::last;
    found_.pages.push_back(std::move(page));
    last_page_ = Time::now();
  }
}

std::optional<EarlyPages> EarlyListing::take() {
  if (!thread_.joinable()) return std::nullopt;
  thread_.request_stop();
  thread_.join();
  const bool is_stale = !found_.is_last && Time::now() - last_page_ > kRemembered;
  if (has_failed_ || found_.pages.empty() || is_stale) return std::nullopt;
  return std::move(found_);
}

}  // namespace heimdall
