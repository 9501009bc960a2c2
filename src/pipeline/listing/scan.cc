#include "pipeline/listing/scan.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <tuple>

#include "base/format.h"
#include "base/text.h"
#include "pipeline/listing/class_tally.h"
#include "pipeline/listing/classify.h"
#include "pipeline/listing/in_flight.h"
#include "pipeline/object_codec.h"
#include "pipeline/listing/range_pool.h"

namespace heimdall {

namespace {

// Ranges to begin with: more than the workers of the first moment, as no sample is exact. What is left unequal is stolen, also by workers that come later.
constexpr unsigned kRangesPerWorker = 4;

// What one range yields: merged into the findings only if it was listed to its end.
struct RangeResult {
  ListRange range;
  BucketFigures figures;
  std::optional<ClassTally> classes;
  ScratchFile unreferenced;  // ObjectMeta records in key order; no path if there are none
  std::vector<TreeLink> links;
  std::optional<Error> failure;
};

// Lists one range and probes its keys.
class RangeScan {
 public:
  RangeScan(ObjectReader& store, ReferenceSnapshot& snapshot, const BucketPolicy& policy, std::filesystem::path spool,
            Progress& progress)
      : store_(store), snapshot_(snapshot), policy_(policy), spool_path_(std::move(spool)), progress_(progress),
        classes_(policy.guards.max_unreferenced_class) {}

  // `early` is the beginning of this range.
  Result<RangeResult> run(RangePool& pool, RangePool::Work& work, InFlight& in_flight, EarlyPages early, const std::stop_token& stop) {
    const ListRange& range = RangePool::range_of(work);
    // What began early was asked for all of the prefix; the pool says where it ends.
    const ListRange asked = early.listing ? ListRange{range.prefix, "", ""} : range;
    bool is_last = false;
    for (ObjectPage& page : early.pages) {
      page_ = std::move(page);
      TRY_ASSIGN(const RangePool::Share share, take_page(pool, work, asked));
      is_last = share.is_last;
      if (is_last) break;
    }
    is_last = is_last || early.is_last;
    listing_ = std::move(early.listing);
    if (!listing_ && !is_last) {
      TRY_ASSIGN(listing_, store_.list(range));
    }
    InFlight::Turn turn(in_flight, stop);
    while (!is_last) {
      if (stop.stop_requested()) return Error{ErrorCode::cancelled, "the scan was interrupted"};
      TRY_ASSIGN(const PageStatus status, listing_->next(page_));
      TRY_ASSIGN(const RangePool::Share share, take_page(pool, work, asked));
      turn.listed(share.keys);
      is_last = share.is_last || status == PageStatus::last;
    }
    RangeResult result;
    if (spool_) {
      TRY(spool_->seal(RecordWriter::Durability::scratch));
      result.unreferenced = ScratchFile(spool_path_);
    }
    result.figures = figures_;
    result.classes = std::move(classes_);
    return result;
  }

  // Those that were met, however run() ended.
  std::vector<TreeLink> links() const {
    if (!listing_) return {};
    const auto met = listing_->links();
    return {met.begin(), met.end()};
  }

 private:
  Result<RangePool::Share> take_page(RangePool& pool, RangePool::Work& work, const ListRange& range) {
    TRY(check_page(range));
    const RangePool::Share share = pool.advance(work, page_);
    TRY(judge_keys(share.keys));
    progress_.advance(share.keys);
    return share;
  }

  Result<void> check_page(const ListRange& range) {
    keys_.clear();
    for (std::size_t i = 0; i < page_.size(); ++i) {
      const std::string_view key = page_[i].key;
      const std::string_view before = i > 0 ? keys_.back() : std::string_view(last_key_);
      keys_.push_back(key);
      if ((i > 0 || has_last_) && key <= before) return misplaced(key, format("after '{}'", printable(before)));
    }
    if (keys_.empty()) return {};
    // They rise, so the ends tell of all.
    for (const std::string_view key : {keys_.front(), keys_.back()}) {
      if (!range.holds(key)) return misplaced(key, "outside the range asked for");
    }
    last_key_ = keys_.back();
    has_last_ = true;
    return {};
  }

  // Those that belong to this range, from the front of the page.
  Result<void> judge_keys(std::size_t count) {
    keys_.resize(count);
    hits_.resize(count);
    snapshot_.probe(keys_, hits_);
    for (std::size_t i = 0; i < count; ++i) TRY(judge_object(page_[i], hits_[i] != 0));
    return {};
  }

  // A list that repeats, runs back or leaves its range is no list to delete by.
  static Error misplaced(std::string_view key, std::string_view how) {
    return Error{ErrorCode::corrupt, format("the store lists '{}' {}", printable(key), how),
                 "nothing of this range is touched; report this to the store's maker"};
  }

  Result<void> judge_object(const ObjectView& object, bool referenced) {
    if (is_reserved_key(object.key)) return {};
    ++figures_.total_objects;
    figures_.total_bytes += object.size_bytes;
    if (referenced) {
      ++figures_.referenced_objects;
      figures_.referenced_bytes += object.size_bytes;
    } else if (is_protected(object)) {
      ++figures_.protected_objects;
      figures_.protected_bytes += object.size_bytes;
      referenced = true;
    }
    // A marker stands for its folder: it must not vouch for the objects without an extension beside it.
    if (!is_folder_marker(object.key, object.size_bytes)) {
      classes_.add(object.key, referenced ? ClassTally::Kept::yes : ClassTally::Kept::no);
    }
    if (referenced) return {};
    if (!spool_) {
      TRY_ASSIGN(RecordWriter spool, RecordWriter::create(spool_path_, kOrphansKind, 1));
      spool_.emplace(std::move(spool));
    }
    record_.clear();
    append_object(record_, object);
    return spool_->add(record_);
  }

  // Patterns, folder markers, and what has no date: unknown means keep (invariant 4).
  bool is_protected(const ObjectView& object) const {
    return !object.last_modified || is_folder_marker(object.key, object.size_bytes) ||
           std::any_of(policy_.protect.begin(), policy_.protect.end(),
                       [&](const Glob& glob) { return glob.matches(object.key); });
  }

  ObjectReader& store_;
  ReferenceSnapshot& snapshot_;
  const BucketPolicy& policy_;
  std::filesystem::path spool_path_;
  Progress& progress_;
  ClassTally classes_;
  BucketFigures figures_;
  std::unique_ptr<Listing> listing_;
  std::optional<RecordWriter> spool_;
  ObjectPage page_;
  std::vector<std::string_view> keys_;
  std::vector<std::uint8_t> hits_;
  std::string last_key_;
  bool has_last_ = false;
  std::string record_;
};

// Where the cuts are known beforehand, the first request of each range goes out at once. What was listed early belongs to the first range.
std::vector<ListRange> ranges_of(ObjectReader& store, const BucketPolicy& policy, const ReferenceSnapshot& snapshot, std::uint64_t expected_keys,
                                 unsigned wanted, const EarlyPages& early) {
  const std::vector<std::string>& sample = snapshot.key_sample();
  std::vector<ListRange> ranges;
  for (const std::string& prefix : policy.prefixes) {
    ListRange whole{prefix, "", ""};
    if (ranges.empty() && !early.pages.empty() && !early.pages.back().empty()) whole.after = early.pages.back()[early.pages.back().size() - 1].key;
    SplitHints hints{wanted, sample, expected_keys};
    if (!sample.empty()) hints.expected_keys = count_in(whole, sample) * expected_keys / sample.size();
    auto parts = store.split(whole, hints);
    // Where no cuts are to be had it is listed as one: real trouble will show there, too.
    if (!parts || !check_tiling(whole, *parts)) parts = std::vector<ListRange>{whole};
    if (!whole.after.empty()) parts->front().after.clear();
    ranges.insert(ranges.end(), parts->begin(), parts->end());
  }
  return ranges;
}

// What the workers of a scan share.
class ScanCrew {
 public:
  ScanCrew(ObjectReader& store, ReferenceSnapshot& snapshot, const BucketPolicy& policy, const ScanOptions& options, Progress& progress,
           std::stop_token stop)
      : store_(store), snapshot_(snapshot), policy_(policy), options_(options), progress_(progress), stop_(std::move(stop)) {}

  // In key order: disjoint ranges that together are those of the pool.
  std::vector<RangeResult> run(RangePool& pool, InFlight& in_flight, EarlyPages early) {
    early_ = std::move(early);
    if (in_flight.most() <= 1) {
      work(pool, in_flight);
    } else {
      std::vector<std::jthread> workers;
      const auto hire = [&](unsigned level) {
        try {
          while (workers.size() < level) {
            workers.emplace_back([&] {
              pthread_setname_np(pthread_self(), "scan");
              work(pool, in_flight);
            });
          }
        } catch (const std::system_error&) {
          if (workers.empty()) throw;  // no more threads are to be had: those that are there do it all
        }
        return static_cast<unsigned>(workers.size());
      };
      in_flight.supervise(hire, store_);
    }
    std::ranges::sort(results_, {}, [](const RangeResult& result) { return std::tie(result.range.prefix, result.range.after); });
    return std::move(results_);
  }

 private:
  void work(RangePool& pool, InFlight& in_flight) {
    while (RangePool::Work* const next = pool.take(stop_)) {
      RangeScan range_scan(store_, snapshot_, policy_, format("{}.range-{}", options_.scratch.string(), number_++), progress_);
      auto scanned = range_scan.run(pool, *next, in_flight, early_of(*next), stop_);
      RangeResult result = scanned ? std::move(*scanned) : RangeResult{};
      if (!scanned) result.failure = std::move(scanned).error();
      result.links = range_scan.links();
      result.range = pool.finish(*next);
      const std::scoped_lock lock(mutex_);
      results_.push_back(std::move(result));
    }
    in_flight.worker_ended();
  }

  // The first range has what was listed before.
  EarlyPages early_of(const RangePool::Work& work) {
    const ListRange& range = RangePool::range_of(work);
    if (range.prefix != policy_.prefixes.front() || !range.after.empty()) return {};
    return std::move(early_);
  }

  ObjectReader& store_;
  ReferenceSnapshot& snapshot_;
  const BucketPolicy& policy_;
  const ScanOptions& options_;
  Progress& progress_;
  const std::stop_token stop_;
  std::atomic<std::size_t> number_{0};
  EarlyPages early_;
  std::mutex mutex_;
  std::vector<RangeResult> results_;
};

void add(BucketFigures& sum, const BucketFigures& part) {
  sum.total_objects += part.total_objects;
  sum.total_bytes += part.total_bytes;
  sum.referenced_objects += part.referenced_objects;
  sum.referenced_bytes += part.referenced_bytes;
  sum.protected_objects += part.protected_objects;
  sum.protected_bytes += part.protected_bytes;
}

// Both the cuts that were made beforehand and those that were made on the way: what no range covers would be taken for absent.
Result<void> check_all_tiled(const BucketPolicy& policy, std::span<const RangeResult> results) {
  for (const std::string& prefix : policy.prefixes) {
    std::vector<ListRange> parts;
    for (const RangeResult& result : results) {
      if (result.range.prefix == prefix) parts.push_back(result.range);
    }
    TRY(check_tiling({prefix, "", ""}, parts));
  }
  return {};
}

}  // namespace

Result<Findings> scan(ObjectReader& store, ReferenceSnapshot& snapshot, const BucketPolicy& policy, const ScanOptions& options,
                      Progress& progress, std::stop_token stop, std::optional<EarlyPages> early) {
  Findings findings;
  findings.bucket = policy.name;
  findings.started = options.started;
  TRY_ASSIGN(findings.bucket_identity, store.identity());
  ListingLimits limits = store.listing_limits();
  if (options.workers > 0) limits.first = limits.most = options.workers;
  InFlight in_flight(limits);
  EarlyPages begun = early ? *std::move(early) : EarlyPages{};
  const unsigned wanted = std::max(1U, limits.first) * kRangesPerWorker;
  std::vector<ListRange> ranges = ranges_of(store, policy, snapshot, options.expected_objects, wanted, begun);
  RangePool pool(store, std::move(ranges),
                 {snapshot.key_sample(), options.expected_objects, limits.worthwhile, limits.most > 1});
  std::vector<RangeResult> results = ScanCrew(store, snapshot, policy, options, progress, stop).run(pool, in_flight, std::move(begun));
  if (stop.stop_requested()) return Error{ErrorCode::cancelled, "the scan was interrupted; nothing was changed"};

  // A bucket that was replaced or unmounted while it was listed gave answers about something else.
  TRY_ASSIGN(const std::string identity_after, store.identity());
  if (identity_after != findings.bucket_identity) {
    return Error{ErrorCode::failed_precondition, format("bucket '{}' was replaced while it was listed", policy.name),
                 "check that its file system is mounted, then run the command again"};
  }
  TRY(check_all_tiled(policy, results));
  findings.ranges = results.size();
  ClassTally classes(policy.guards.max_unreferenced_class);
  std::vector<ScratchFile> spools;
  for (RangeResult& result : results) {
    // What they lead to may lie in any range.
    std::ranges::move(result.links, std::back_inserter(findings.links));
    if (result.failure) {
      findings.failures.push_back({std::move(result.range), std::move(*result.failure)});
      continue;
    }
    add(findings.figures, result.figures);
    if (result.classes) classes.merge(*result.classes);
    if (!result.unreferenced.path().empty()) spools.push_back(std::move(result.unreferenced));
  }
  if (!results.empty() && findings.failures.size() == results.size()) return findings.failures.front().error;
  // One range may have met what another one took over.
  std::ranges::sort(findings.links);
  findings.links.erase(std::unique(findings.links.begin(), findings.links.end()), findings.links.end());
  findings.unreferenced_classes = classes.unreferenced();
  TRY(classify(std::move(spools), snapshot, policy, options, findings, progress));
  return findings;
}

}  // namespace heimdall
