#include "pipeline/sweep/delete_pace.h"

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

DeletePace::DeletePace(const BucketPolicy& policy, std::size_t most_in_batch, const StoreStrain& strain, BootTime now)
    : latency_target_(policy.latency_target), sizes_(sizes_up_to(most_in_batch)), workers_(workers_of(policy)), size_(places_of(sizes_)),
      begun_(now), push_backs_(strain.push_backs) {}

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
  // It tells of the level before; so does a push-back that was already on its way.
  if (left_over_ > 0) {
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
  left_over_ = workers() != before || batch_size() != size_before ? batch.others_under_way : 0;
}

void DeletePace::feed(const PaceWindow& window) {
  const bool is_pushed_back = window.push == PaceWindow::Push::back;
  const bool is_too_slow = latency_target_ && window.latency > *latency_target_;
  if (tries_size_ && !is_pushed_back && !is_too_slow) {
    size_.window(window);
    tries_size_ = !size_.is_settled();
    return;
  }
  workers_.window(window);
  if (is_pushed_back && workers_.wants_pause()) size_.window(window);  // fewer at once there cannot be
  tries_size_ = workers_.is_settled();
}

}  // namespace heimdall
