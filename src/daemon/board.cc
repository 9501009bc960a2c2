#include "daemon/board.h"

#include <algorithm>
#include <utility>

namespace heimdall {

namespace {

void take_off(std::uint64_t& from, std::uint64_t amount) { from -= std::min(from, amount); }

// Candidates are due, or, where the grace was ignored, in grace: what is not found among the due ones is taken from those.
void take_off_orphans(std::uint64_t& due, std::uint64_t& in_grace, std::uint64_t amount) {
  const std::uint64_t from_due = std::min(due, amount);
  due -= from_due;
  take_off(in_grace, amount - from_due);
}

void take_off_deleted(BucketFigures& figures, std::uint64_t objects, std::uint64_t bytes) {
  take_off(figures.total_objects, objects);
  take_off(figures.total_bytes, bytes);
  take_off(figures.orphans_found, objects);
  take_off(figures.orphan_bytes, bytes);
  take_off_orphans(figures.due_objects, figures.in_grace_objects, objects);
  take_off_orphans(figures.due_bytes, figures.in_grace_bytes, bytes);
}

// By name: runs report some hundred buckets at most, and seldom.
template <class Buckets>
auto find_bucket(Buckets& buckets, std::string_view name) {
  return std::find_if(buckets.begin(), buckets.end(), [&](const BucketBoard& bucket) { return bucket.name == name; });
}

}  // namespace

BucketFigures without_deleted(BucketFigures figures) {
  take_off_deleted(figures, figures.orphans_deleted, figures.bytes_deleted);
  figures.orphans_deleted = figures.bytes_deleted = figures.deletion_failures = 0;
  figures.skipped_referenced = figures.skipped_changed = figures.already_gone = 0;
  return figures;
}

Board::Board(std::vector<BucketBoard> buckets) : buckets_(std::move(buckets)) {}

void Board::replace(std::vector<BucketBoard> buckets) {
  const std::scoped_lock lock(mutex_);
  for (BucketBoard& bucket : buckets) {
    const auto known = find_bucket(buckets_, bucket.name);
    if (known != buckets_.end() && known->store == bucket.store) {
      bucket.figures = known->figures;
      bucket.measured_at = known->measured_at;
      bucket.in_doubt = known->in_doubt;
    }
    const auto neighbour = std::find_if(buckets_.begin(), buckets_.end(), [&](const BucketBoard& old) { return old.store == bucket.store && old.capacity; });
    if (neighbour != buckets_.end() && !bucket.capacity) bucket.capacity = neighbour->capacity;
  }
  buckets_ = std::move(buckets);
  ++version_;
}

std::vector<BucketBoard> Board::buckets() const {
  const std::scoped_lock lock(mutex_);
  return buckets_;
}

std::optional<BucketBoard> Board::bucket(const std::string& name) const {
  const std::scoped_lock lock(mutex_);
  const auto at = find_bucket(buckets_, name);
  return at == buckets_.end() ? std::nullopt : std::optional(*at);
}

void Board::set_capacity(const std::string& store, const StoreCapacity& capacity) {
  const std::scoped_lock lock(mutex_);
  for (BucketBoard& bucket : buckets_) {
    if (bucket.store == store) bucket.capacity = capacity;
  }
  ++version_;
}

void Board::set_in_doubt(const std::map<std::string, std::uint64_t>& counts) {
  const std::scoped_lock lock(mutex_);
  for (BucketBoard& bucket : buckets_) {
    const auto count = counts.find(bucket.name);
    bucket.in_doubt = count == counts.end() ? 0 : count->second;
  }
  ++version_;
}

void Board::set_figures(std::string_view bucket, const BucketFigures& figures, Timestamp measured_at) {
  const std::scoped_lock lock(mutex_);
  const auto at = find_bucket(buckets_, bucket);
  if (at == buckets_.end() || (at->measured_at && *at->measured_at > measured_at)) return;
  at->figures = without_deleted(figures);
  at->measured_at = measured_at;
  ++version_;
}

std::uint64_t Board::version() const {
  const std::scoped_lock lock(mutex_);
  return version_;
}

void Board::run_ended(const RunRequest&, const RunOutcome& outcome) {
  const RunReport& report = outcome.report;
  const std::scoped_lock lock(mutex_);
  for (const auto& [name, figures] : report.buckets) {
    const auto at = find_bucket(buckets_, name);
    if (at == buckets_.end()) continue;
    if (report.scanned.contains(name)) {
      at->figures = without_deleted(figures);
      at->measured_at = report.started_at;
    } else {
      // The other figures are those of the plan, a day old perhaps, or of a part of the bucket: what is known here is better.
      take_off_deleted(at->figures, figures.orphans_deleted, figures.bytes_deleted);
    }
  }
  ++version_;
}

}  // namespace heimdall
