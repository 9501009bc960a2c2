#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/board.h"
#include "daemon/dependencies.h"
#include "daemon/readiness.h"
#include "daemon/runner.h"
#include "daemon/scheduler.h"
#include "ports/store_traffic.h"
#include "state/history_tables.h"

namespace heimdall {

// What only a look at the other parts tells; given at each scrape.
struct MetricsView {
  std::vector<BucketBoard> buckets;
  std::vector<ScheduleState> schedules;
  std::vector<LiveRun> runs;
  std::vector<DependencyState> dependencies;
  Timestamp now{};
};

// Counters and histograms of the service, and the text of /metrics (Prometheus text format 0.0.4; docs/operations-metrics.md has the list). Everything that
// the configuration names exists with 0 from the start, and is gone once the configuration names it no more. No key, prefix or free text ever becomes a label.
// Thread-safe.
class Metrics final : public RunWatcher, public StoreTraffic {
 public:
  explicit Metrics(Timestamp started);
  ~Metrics() override;

  // From the history: when each task and each schedule was last tried and last succeeded, so that a restart does not look like a first start.
  void restore(std::span<const Attempts> attempts);

  void run_began(const RunRequest& request, const std::string& run_id) override;
  void phase_ended(const std::string& bucket, std::string_view phase, std::chrono::nanoseconds took, std::uint64_t done) override;
  void run_ended(const RunRequest& request, const RunOutcome& outcome) override;

  // What became of objects, as it gets known.
  void deletions(std::span<const Deletion> deletions);

  // What is none of the operations and results of StoreTraffic is counted as "other".
  void request_began(std::string_view store, std::string_view operation) override;
  void request_ended(std::string_view store, std::string_view operation, std::string_view status, std::chrono::nanoseconds took) override;
  void request_retried(std::string_view store, std::string_view operation) override;

  void log_line(LogLevel level);
  void reloaded(bool successful, Timestamp now);
  // For readiness().
  ConfigReload last_reload() const;
  void http_request(std::string_view route, int status);  // `route` is the pattern, not the path

  std::string render(const MetricsView& view) const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace heimdall
