#include "pipeline/delete_pace.h"

#include <algorithm>
#include <array>

namespace heimdall {

namespace {

constexpr std::chrono::milliseconds kShortestWindow{500};
constexpr unsigned kBatchesPerWorker = 2;
constexpr std::array<std::size_t, 4> kSizes = {100, 250, 500, 1000};

std::vector<std::size_t> sizes_up_to(std::size_t most) {
  std::vector<std::size_t> sizes;
  for (const std::size_t size : kSizes) {
    if (size < most) sizes.push_back(size);
  }
  sizes.push_back(std::max<std::size_t>(1, most));
  return sizes;
}

Pace::Options workers_of(const BucketPolicy& policy) {
  if (policy.delete_workers) return {.least = *policy.delete_workers, .first = *policy.delete_workers, .most = *policy.delete_workers,
                                     .latency_target = policy.latency_target};
  return {.least = 1, .first = 2, .most = DeletePace::kMostWorkers, .latency_target = policy.latency_target};
}

Pace::Options places_of(const std::vector<std::size_t>& sizes) {
  const auto most = static_cast<unsigned>(sizes.size());
  return {.least = 1, .first = most, .most = most};
}

}  // namespace

DeletePace::DeletePace(const BucketPolicy& policy, std::size_t most_in_batch, BootTime now)
    : sizes_(sizes_up_to(most_in_batch)), workers_(workers_of(policy)), size_(places_of(sizes_)), begun_(now) {}

void DeletePace::begin_window(BootTime now) {
  begun_ = now;
  batches_ = 0;
  objects_ = 0;
  was_late_ = false;
}

void DeletePace::forget_window(BootTime now) { begin_window(now); }

void DeletePace::batch_ended(const EndedBatch& batch, BootTime now) {
  was_late_ = was_late_ || batch.was_late;
  const bool is_pushed_back = was_late_ || batch.strain.push_backs > push_backs_;
  push_backs_ = batch.strain.push_backs;
  if (left_over_ > 0 && !is_pushed_back) {
    if (--left_over_ == 0) begin_window(now);
    return;
  }
  ++batches_;
  objects_ += batch.objects;
  const auto elapsed = now - begun_;
  if (!is_pushed_back && (batches_ < kBatchesPerWorker * workers() || elapsed < kShortestWindow)) return;
  const unsigned before = workers();
  const std::size_t size_before = batch_size();
  feed({objects_, elapsed, batch.strain.latency, is_pushed_back ? PaceWindow::Push::back : PaceWindow::Push::none});
  begin_window(now);
  // Those who began before tell of the level before; so does a push-back that is still on its way.
  left_over_ = workers() != before || batch_size() != size_before ? batch.others_under_way : 0;
}

void DeletePace::feed(const PaceWindow& window) {
  const bool only_size_is_left = workers_.level() == 1 && window.push == PaceWindow::Push::back;
  if (only_size_is_left) size_.window(window);
  if (!tries_size_ || window.push == PaceWindow::Push::back) {
    workers_.window(window);
    tries_size_ = workers_.is_settled();
    return;
  }
  // A latency target is kept by the number alone; a size that is too slow for it ends its turn.
  size_.window(window);
  tries_size_ = !size_.is_settled();
}

}  // namespace heimdall
