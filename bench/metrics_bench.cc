// What a scrape of /metrics costs, by the number of buckets.

#include <benchmark/benchmark.h>

#include "base/format.h"
#include "daemon/metrics.h"
#include "daemon/storage_health.h"

namespace heimdall {

namespace {

using namespace std::chrono_literals;

constexpr Timestamp kNow{1795392856s};

MetricsView view_of(std::int64_t buckets) {
  MetricsView view;
  view.now = kNow;
  for (std::int64_t i = 0; i < buckets; ++i) {
    BucketBoard board;
    board.name = format("heimdall-recordings-of-station-{:04}", i);
    board.store = format("minio-{}", i % 4);
    board.measured_at = kNow - 1h;
    board.capacity = StoreCapacity{1'000'000'000'000, 466'000'000'000, 534'000'000'000};
    const auto n = static_cast<std::uint64_t>(i + 1);
    board.figures.total_objects = 1'234'567 * n;
    board.figures.total_bytes = 123'456'789'012 * n;
    board.figures.referenced_objects = 1'000'000 * n;
    board.figures.referenced_bytes = 100'000'000'000 * n;
    board.figures.orphans_found = 234'567 * n;
    board.figures.orphan_bytes = 23'456'789'012 * n;
    board.figures.due_objects = 34'567 * n;
    board.figures.due_bytes = 3'456'789'012 * n;
    view.buckets.push_back(std::move(board));
  }
  return view;
}

// Counters of all buckets, as after a cleanup of each.
void count_a_cleanup(Metrics& metrics, const MetricsView& view) {
  RunOutcome outcome;
  outcome.report.status = RunStatus::success;
  for (const BucketBoard& bucket : view.buckets) {
    outcome.report.buckets[bucket.name].orphans_deleted = 34'567;
    outcome.report.buckets[bucket.name].bytes_deleted = 3'456'789'012;
    metrics.phase_ended(bucket.name, "listing", 7s, bucket.figures.total_objects);
    metrics.request_ended(bucket.store, "list", "200", 12ms);
  }
  metrics.run_ended({.task = Task::cleanup}, outcome);
}

void render_metrics(benchmark::State& state) {
  const MetricsView view = view_of(state.range(0));
  Metrics metrics(kNow - 24h);
  count_a_cleanup(metrics, view);
  std::size_t bytes = 0;
  for (auto _ : state) {
    const std::string text = metrics.render(view);
    bytes = text.size();
    benchmark::DoNotOptimize(text.data());
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(render_metrics)->Arg(3)->Arg(100)->Arg(1000)->Unit(benchmark::kMicrosecond);

void render_health(benchmark::State& state) {
  const MetricsView view = view_of(state.range(0));
  for (auto _ : state) {
    const std::string text = storage_health_json(view.buckets, {}, kNow);
    benchmark::DoNotOptimize(text.data());
  }
}
BENCHMARK(render_health)->Arg(3)->Arg(1000)->Unit(benchmark::kMicrosecond);

// What each request to a store pays.
void count_a_request(benchmark::State& state) {
  Metrics metrics(kNow);
  for (auto _ : state) {
    metrics.request_began("minio", "delete");
    metrics.request_ended("minio", "delete", "200", 12ms);
  }
}
BENCHMARK(count_a_request);

}  // namespace

}  // namespace heimdall
