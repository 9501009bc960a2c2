#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "daemon/runner.h"
#include "model/health.h"
#include "model/run_report.h"
#include "ports/object_store.h"

namespace heimdall {

// What is known of one configured bucket: the figures of its last complete scan.
struct BucketBoard {
  std::string name, store, description, mode;
  BucketFigures figures;                   // all 0 until there was a scan
  std::optional<Timestamp> measured_at;    // when that scan began
  std::optional<StoreCapacity> capacity;   // of the disks of its store, where it tells
};

// The last known figures of all configured buckets, whatever became of the store since. Thread-safe.
class Board final : public RunWatcher {
 public:
  explicit Board(std::vector<BucketBoard> buckets);
  // Other buckets from now on; figures of those that stay stay.
  void replace(std::vector<BucketBoard> buckets);

  std::vector<BucketBoard> buckets() const;  // as configured
  std::optional<BucketBoard> bucket(const std::string& name) const;
  void set_capacity(const std::string& store, const StoreCapacity& capacity);
  std::uint64_t version() const;  // changes with every change

  void run_began(const RunRequest&, const std::string&) override {}
  void phase_ended(const std::string&, std::string_view, std::chrono::nanoseconds, std::uint64_t) override {}
  // Takes over the figures of each bucket that was scanned completely, less what was deleted.
  void run_ended(const RunRequest& request, const RunOutcome& outcome) override;

 private:
  mutable std::mutex mutex_;
  std::vector<BucketBoard> buckets_;
  std::uint64_t version_ = 0;
};

}  // namespace heimdall
