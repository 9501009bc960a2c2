#include "pipeline/listing/range_pool.h"

#include <algorithm>
#include <chrono>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

// A range that goes on although the sample shows nothing more in it: after so many keys it is cut by what the store finds.
constexpr std::uint64_t kSurprise = 8'000;
// A cut gives both sides this many times what is worthwhile, or it is not made.
constexpr std::uint64_t kLeastParts = 2;
// Pages are not announced: they come by the thousand.
constexpr std::chrono::milliseconds kLookAgain{10};

bool is_past(std::string_view key, const std::string& until) { return !until.empty() && key > until; }

}  // namespace

Result<void> check_tiling(const ListRange& whole, std::span<const ListRange> parts) {
  bool tiles = !parts.empty() && parts.front().after == whole.after && parts.back().until == whole.until;
  for (std::size_t i = 0; tiles && i < parts.size(); ++i) {
    const ListRange& part = parts[i];
    const bool joined = i == 0 || (!part.after.empty() && part.after == parts[i - 1].until);
    tiles = joined && part.prefix == whole.prefix && (i == 0 || part.until.empty() || part.after < part.until);
  }
  if (tiles) return {};
  return Error{ErrorCode::internal, format("the ranges of prefix '{}' do not tile it", printable(whole.prefix)), "please report this"};
}

std::size_t count_in(const ListRange& range, std::span<const std::string> sorted_keys) {
  auto first = std::lower_bound(sorted_keys.begin(), sorted_keys.end(), range.prefix);
  if (!range.after.empty()) first = std::max(first, std::upper_bound(sorted_keys.begin(), sorted_keys.end(), range.after));
  auto last = range.until.empty() ? sorted_keys.end() : std::upper_bound(sorted_keys.begin(), sorted_keys.end(), range.until);
  // Those with the prefix are neighbours, so the first one without it ends them.
  last = std::partition_point(first, std::max(first, last), [&](const std::string& key) { return key.starts_with(range.prefix); });
  return static_cast<std::size_t>(last - first);
}

class RangePool::Work {
 public:
  explicit Work(ListRange range) : whole(std::move(range)), until(whole.until), position(whole.after) {}

  const ListRange whole;  // as it was handed out
  std::string until;      // where it ends now
  std::string position;   // the last key that was listed
  std::uint64_t keys = 0;
  std::uint64_t look_again = kSurprise;  // not to be cut by mere suspicion before it has listed so many keys
  bool is_under_way = false;

  ListRange rest() const { return {whole.prefix, position, until, whole.narrowed}; }
};

RangePool::RangePool(ObjectReader& store, std::vector<ListRange> ranges, Options options) : store_(store), options_(options) {
  for (ListRange& range : ranges) works_.push_back(std::make_unique<Work>(std::move(range)));
  for (auto work = works_.rbegin(); work != works_.rend(); ++work) waiting_.push_back(work->get());
}

RangePool::~RangePool() = default;

const ListRange& RangePool::range_of(const Work& work) { return work.whole; }

RangePool::Work* RangePool::take(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stop.stop_requested()) return nullptr;
    if (!waiting_.empty()) {
      Work* const work = waiting_.back();
      waiting_.pop_back();
      work->is_under_way = true;
      ++under_way_;
      return work;
    }
    if (under_way_ == 0 && !is_cutting_) return nullptr;
    const auto now = std::chrono::steady_clock::now();
    const bool may_look = options_.may_cut && !is_cutting_ && now >= next_look_;
    if (may_look) next_look_ = now + kLookAgain;
    if (may_look && largest() != nullptr) {
      next_look_ = now;  // there may be more
      cut_largest(lock);
    } else {
      changed_.wait_for(lock, kLookAgain);
    }
  }
}

std::uint64_t RangePool::estimate(const Work& work) const {
  if (options_.sample.empty()) return 0;
  return count_in(work.rest(), options_.sample) * options_.expected_keys / options_.sample.size();
}

RangePool::Work* RangePool::largest() {
  Work* found = nullptr;
  std::uint64_t most = options_.worthwhile * kLeastParts;
  for (const auto& work : works_) {
    if (!work->is_under_way) continue;
    std::uint64_t left = estimate(*work);
    // What it has listed beyond expectation says more about it than a sample of the references.
    if (work->keys >= work->look_again) left = std::max(left, work->keys + options_.worthwhile * kLeastParts);
    if (left <= most) continue;
    most = left;
    found = work.get();
  }
  return found;
}

void RangePool::cut_largest(std::unique_lock<std::mutex>& lock) {
  Work& work = *largest();
  const ListRange rest = work.rest();
  const SplitHints hints{2, options_.sample, estimate(work)};
  is_cutting_ = true;
  lock.unlock();
  auto parts = store_.split(rest, hints);
  const bool is_cut = parts && parts->size() > 1 && check_tiling(rest, *parts);
  lock.lock();
  is_cutting_ = false;
  changed_.notify_all();
  work.look_again = std::max(work.look_again, work.keys) * 2;
  if (!is_cut || !work.is_under_way) return;
  // It went on meanwhile: what it has passed is its own.
  auto kept = parts->begin();
  while (kept != parts->end() && is_past(work.position, kept->until)) ++kept;
  if (kept == parts->end() || kept + 1 == parts->end()) return;
  work.until = kept->until;
  for (auto part = parts->end() - 1; part != kept; --part) {
    works_.push_back(std::make_unique<Work>(std::move(*part)));
    waiting_.push_back(works_.back().get());
  }
}

RangePool::Share RangePool::advance(Work& work, const ObjectPage& page) {
  const std::scoped_lock lock(mutex_);
  std::size_t keys = page.size();
  while (keys > 0 && is_past(page[keys - 1].key, work.until)) --keys;
  if (keys > 0) work.position = page[keys - 1].key;
  work.keys += keys;
  return {keys, keys < page.size() || (!work.until.empty() && work.position == work.until)};
}

ListRange RangePool::finish(Work& work) {
  const std::scoped_lock lock(mutex_);
  work.is_under_way = false;
  --under_way_;
  changed_.notify_all();
  return {work.whole.prefix, work.whole.after, work.until, {}};
}

}  // namespace heimdall
