#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "daemon/runner.h"
#include "model/health.h"
#include "model/run_report.h"
#include "ports/object_store.h"

namespace heimdall {

// What is known of one configured bucket: the figures of its last complete scan, less what was deleted since.
struct BucketBoard {
  std::string name, store, description, mode;
  BucketFigures figures;                   // all 0 until there was a scan
  std::optional<Timestamp> measured_at;    // when that scan began
  std::optional<StoreCapacity> capacity;   // of the disks of its store, where it tells
  std::uint64_t in_doubt = 0;              // objects whose delete an ended run may have sent and whose outcome is not known yet, when last looked at
};

// The figures of a scan as they are once what was deleted after it is taken off: objects, bytes, orphans, what is due. The counts of the deletion itself
// (`orphans_deleted`, `skipped_changed`, ...) become 0, so that nothing is taken off twice.
BucketFigures without_deleted(BucketFigures figures);

// The last known figures of all configured buckets, whatever became of the store since. Thread-safe.
class Board final : public RunWatcher {
 public:
  explicit Board(std::vector<BucketBoard> buckets);
  // Other buckets from now on; what is known of those that stay, in the same store, stays.
  void replace(std::vector<BucketBoard> buckets);

  std::vector<BucketBoard> buckets() const;  // as configured
  std::optional<BucketBoard> bucket(const std::string& name) const;
  void set_capacity(const std::string& store, const StoreCapacity& capacity);
  // By bucket; those that are not named have none.
  void set_in_doubt(const std::map<std::string, std::uint64_t>& counts);
  // Figures from the history, as they stand there: of a scan that began at `measured_at`, with what was deleted after it. Those of an older scan than the
  // one that is known change nothing, nor does a bucket that is not configured.
  void set_figures(std::string_view bucket, const BucketFigures& figures, Timestamp measured_at);
  std::uint64_t version() const;  // changes with every change

  void run_began(const RunRequest&, const std::string&) override {}
  void phase_ended(const std::string&, std::string_view, std::chrono::nanoseconds, std::uint64_t) override {}
  // Takes over the figures of each bucket that was scanned completely, less what was deleted. A bucket that the run did not get to, or not all of, keeps those
  // that it has.
  void run_ended(const RunRequest& request, const RunOutcome& outcome) override;

 private:
  mutable std::mutex mutex_;  // guards the two below
  std::vector<BucketBoard> buckets_;
  std::uint64_t version_ = 0;
};

}  // namespace heimdall
