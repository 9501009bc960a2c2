#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/guarded.h"
#include "daemon/histogram.h"
#include "daemon/metrics.h"

// What Metrics counts; metrics.cc counts, metrics_render.cc writes.

namespace heimdall {

// What StoreTraffic may say; anything else is the last one.
inline constexpr std::array<std::string_view, 7> kStoreOperations = {"list", "head", "delete", "put", "bucket", "capacity", "other"};
inline constexpr std::array<std::string_view, 26> kStoreStatuses = {
    "200", "204", "206", "301", "304", "307", "400", "401", "403",     "404",         "405",      "409",      "411",
    "412", "416", "429", "500", "501", "502", "503", "504", "timeout", "unreachable", "in_doubt", "not_sent", "other"};

// In seconds. Requests: from a local disk to the longest time-out. Runs and their phases: from an empty bucket to a day.
inline constexpr std::array<double, 14> kRequestBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20};
inline constexpr std::array<double, 12> kRunBounds = {0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 43200, 86400};

using RequestHistogram = DurationHistogram<kRequestBounds.size()>;
using RunHistogram = DurationHistogram<kRunBounds.size()>;

struct OperationCounts {
  std::array<std::uint64_t, kStoreStatuses.size()> ended{};
  RequestHistogram took{kRequestBounds};
  std::uint64_t retried = 0;
};

struct StoreCounts {
  std::array<OperationCounts, kStoreOperations.size()> operations;
  std::uint64_t in_flight = 0;
};

// When something was last tried, and last succeeded.
struct LastTimes {
  std::optional<Timestamp> attempt, success;
};

struct TaskCounts {
  std::array<std::uint64_t, 6> ended{};  // by RunStatus
  RunHistogram took{kRunBounds};
  LastTimes last;
};

struct BucketCounts {
  std::array<std::uint64_t, 6> by_outcome{};  // by Outcome
  std::uint64_t deleted_bytes = 0;
  std::uint64_t listed_objects = 0;
  double listed_per_second = 0;  // in the last listing
};

struct RunCounts {
  std::map<std::string, TaskCounts, std::less<>> tasks;
  std::map<std::string, RunHistogram, std::less<>> phases;
  std::map<std::string, LastTimes, std::less<>> schedules;
  std::map<std::string, BucketCounts, std::less<>> buckets;
  std::array<std::uint64_t, kGuardNames.size()> guard_refusals{};
};

// Each part has a lock of its own, so that a scrape holds up no request to a store while it writes buckets.
struct Metrics::State {
  Timestamp started{};
  Guarded<RunCounts> runs;
  Guarded<std::map<std::string, StoreCounts, std::less<>>> stores;
  Guarded<std::map<std::pair<std::string, int>, std::uint64_t>> http;
  Guarded<ConfigReload> reload;
  std::array<std::atomic<std::uint64_t>, 4> log_lines{};  // by LogLevel
  std::atomic<std::size_t> last_bytes = 0;                 // of the text of /metrics
};

}  // namespace heimdall
