#include "pipeline/scan.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/format.h"
#include "base/text.h"
#include "pipeline/class_tally.h"
#include "pipeline/classify.h"
#include "pipeline/object_codec.h"

namespace heimdall {

namespace {

// What one range yields: merged into the findings only if it was listed to its end.
struct RangeResult {
  BucketFigures figures;
  std::optional<ClassTally> classes;
  ScratchFile unreferenced;  // ObjectMeta records in key order; no path if there are none
  std::optional<Error> failure;
};

// Lists one range and probes its keys.
class RangeScan {
 public:
  RangeScan(ObjectReader& store, ReferenceSnapshot& snapshot, const BucketPolicy& policy, std::filesystem::path spool,
            Progress& progress)
      : store_(store), snapshot_(snapshot), policy_(policy), spool_path_(std::move(spool)), progress_(progress),
        classes_(policy.guards.max_unreferenced_class) {}

  Result<RangeResult> run(const ListRange& range, const std::stop_token& stop) {
    TRY_ASSIGN(const auto listing, store_.list(range));
    PageStatus status = PageStatus::more;
    while (status == PageStatus::more) {
      if (stop.stop_requested()) return Error{ErrorCode::cancelled, "the scan was interrupted"};
      TRY_ASSIGN(status, listing->next(page_));
      TRY(judge_page(range));
      progress_.advance(page_.size());
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

 private:
  Result<void> judge_page(const ListRange& range) {
    keys_.clear();
    for (std::size_t i = 0; i < page_.size(); ++i) {
      keys_.push_back(page_[i].key);
      TRY(check_order(range, keys_.back()));
    }
    hits_.resize(keys_.size());
    snapshot_.probe(keys_, hits_);
    for (std::size_t i = 0; i < page_.size(); ++i) TRY(judge_object(page_[i], hits_[i] != 0));
    return {};
  }

  // A list that repeats, runs back or leaves its range is no list to delete by.
  Result<void> check_order(const ListRange& range, std::string_view key) {
    const bool inside = key.starts_with(range.prefix) && key > range.after && (range.until.empty() || key <= range.until);
    if (!inside || (has_last_ && key <= last_key_)) {
      return Error{ErrorCode::corrupt, format("the store lists '{}' {}", printable(key),
                                              inside ? format("after '{}'", printable(last_key_)) : "outside the range asked for"),
                   "nothing of this range is touched; report this to the store's maker"};
    }
    last_key_ = key;
    has_last_ = true;
    return {};
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
  std::optional<RecordWriter> spool_;
  ObjectPage page_;
  std::vector<std::string_view> keys_;
  std::vector<std::uint8_t> hits_;
  std::string last_key_;
  bool has_last_ = false;
  std::string record_;
};

// What no range covers would be taken for absent.
Result<void> check_tiling(const std::string& prefix, std::span<const ListRange> parts) {
  bool tiles = !parts.empty() && parts.front().after.empty() && parts.back().until.empty();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool joined = i == 0 || (!parts[i].after.empty() && parts[i].after == parts[i - 1].until);
    tiles = tiles && joined && parts[i].prefix == prefix;
  }
  if (tiles) return {};
  return Error{ErrorCode::internal, format("the ranges of prefix '{}' do not tile it", printable(prefix)), "please report this"};
}

Result<std::vector<ListRange>> ranges_of(ObjectReader& store, const BucketPolicy& policy, unsigned workers) {
  std::vector<ListRange> ranges;
  for (const std::string& prefix : policy.prefixes) {
    TRY_ASSIGN(const std::vector<ListRange> parts, store.split(prefix, workers * 8));
    TRY(check_tiling(prefix, parts));
    ranges.insert(ranges.end(), parts.begin(), parts.end());
  }
  return ranges;
}

// Workers take the ranges in order; each result has its place, so that the whole stays sorted by key.
std::vector<RangeResult> scan_ranges(ObjectReader& store, ReferenceSnapshot& snapshot, const BucketPolicy& policy,
                                     const ScanOptions& options, std::span<const ListRange> ranges, Progress& progress,
                                     std::stop_token stop) {
  std::vector<RangeResult> results(ranges.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next.fetch_add(1); i < ranges.size(); i = next.fetch_add(1)) {
      RangeScan range_scan(store, snapshot, policy, format("{}.range-{}", options.scratch.string(), i), progress);
      auto result = range_scan.run(ranges[i], stop);
      if (result) results[i] = std::move(*result);
      else results[i].failure = std::move(result.error());
    }
  };
  std::vector<std::jthread> workers;
  for (unsigned n = 1; n < std::min<std::size_t>(options.workers, ranges.size()); ++n) workers.emplace_back(work);
  work();
  return results;
}

void add(BucketFigures& sum, const BucketFigures& part) {
  sum.total_objects += part.total_objects;
  sum.total_bytes += part.total_bytes;
  sum.referenced_objects += part.referenced_objects;
  sum.referenced_bytes += part.referenced_bytes;
  sum.protected_objects += part.protected_objects;
  sum.protected_bytes += part.protected_bytes;
}

}  // namespace

Result<Findings> scan(ObjectReader& store, ReferenceSnapshot& snapshot, const BucketPolicy& policy,
                      const ScanOptions& options, Progress& progress, std::stop_token stop) {
  Findings findings;
  findings.bucket = policy.name;
  findings.started = options.started;
  TRY_ASSIGN(findings.bucket_identity, store.identity());
  TRY_ASSIGN(const std::vector<ListRange> ranges, ranges_of(store, policy, options.workers));
  std::vector<RangeResult> results = scan_ranges(store, snapshot, policy, options, ranges, progress, stop);
  if (stop.stop_requested()) return Error{ErrorCode::cancelled, "the scan was interrupted; nothing was changed"};

  // A bucket that was replaced or unmounted while it was listed gave answers about something else.
  TRY_ASSIGN(const std::string identity_after, store.identity());
  if (identity_after != findings.bucket_identity) {
    return Error{ErrorCode::failed_precondition, format("bucket '{}' was replaced while it was listed", policy.name),
                 "check that its file system is mounted, then run the command again"};
  }
  ClassTally classes(policy.guards.max_unreferenced_class);
  std::vector<ScratchFile> spools;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].failure) {
      findings.failures.push_back({ranges[i], std::move(*results[i].failure)});
      continue;
    }
    add(findings.figures, results[i].figures);
    if (results[i].classes) classes.merge(*results[i].classes);
    if (!results[i].unreferenced.path().empty()) spools.push_back(std::move(results[i].unreferenced));
  }
  if (!ranges.empty() && findings.failures.size() == ranges.size()) return findings.failures.front().error;
  findings.unreferenced_classes = classes.unreferenced();
  TRY(classify(std::move(spools), snapshot, policy, options, findings, progress));
  return findings;
}

}  // namespace heimdall
