#include <algorithm>
#include <set>

#include "base/line_log.h"
#include "daemon/build_info.h"
#include "daemon/metrics.h"
#include "daemon/metrics_state.h"
#include "daemon/metrics_text.h"
#include "daemon/process_figures.h"

namespace heimdall {

namespace {

using Type = MetricsText::Type;

double gigabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0); }

double seconds(std::chrono::nanoseconds duration) { return std::chrono::duration<double>(duration).count(); }

// 0: never.
double seconds(const std::optional<Timestamp>& time) { return time ? seconds(time->time_since_epoch()) : 0; }

// A bucket with what is asked about it again and again.
struct BucketRow {
  const BucketBoard* board;
  MetricLabels labels;
  const BucketCounts* counts;
};

// One family with one sample for each bucket.
template <class Value>
void bucket_family(MetricsText& out, std::span<const BucketRow> rows, Type type, std::string_view name, std::string_view help, const Value& value) {
  out.family(type, name, help);
  for (const BucketRow& row : rows) out.add(row.labels, value(row));
}

template <class Value>
void bucket_gauge(MetricsText& out, std::span<const BucketRow> rows, std::string_view name, std::string_view help, const Value& value) {
  bucket_family(out, rows, Type::gauge, name, help, [&](const BucketRow& row) { return value(row.board->figures); });
}

// Names and units of the platform's dashboards.
void write_platform_gauges(MetricsText& out, std::span<const BucketRow> rows) {
  bucket_family(out, rows, Type::gauge, "heimdall_storage_disk_usage_gb",
                "GB (1024^3 bytes) used on the disks of the bucket's store; the bucket's own size where the store does not tell.", [](const BucketRow& row) {
                  return gigabytes(row.board->capacity ? row.board->capacity->used_bytes : row.board->figures.total_bytes);
                });
  bucket_gauge(out, rows, "heimdall_storage_bucket_size_gb", "GB (1024^3 bytes) in the bucket at its last complete scan.",
               [](const BucketFigures& f) { return gigabytes(f.total_bytes); });
  bucket_gauge(out, rows, "heimdall_storage_orphan_files", "Objects that no row refers to and no pattern protects.",
               [](const BucketFigures& f) { return f.orphans_found; });
  bucket_gauge(out, rows, "heimdall_storage_orphan_size_gb", "GB (1024^3 bytes) of those orphans.",
               [](const BucketFigures& f) { return gigabytes(f.orphan_bytes); });
  bucket_gauge(out, rows, "heimdall_storage_total_objects", "Objects in the bucket at its last complete scan.",
               [](const BucketFigures& f) { return f.total_objects; });
  bucket_gauge(out, rows, "heimdall_storage_referenced_objects", "Objects that a row refers to.", [](const BucketFigures& f) { return f.referenced_objects; });
}

void write_states(MetricsText& out, std::span<const BucketRow> rows) {
  struct StateOf {
    MetricLabels label;
    std::uint64_t BucketFigures::*objects;
    std::uint64_t BucketFigures::*bytes;
  };
  const std::array<StateOf, 3> states = {{
      {{{"state", "referenced"}}, &BucketFigures::referenced_objects, &BucketFigures::referenced_bytes},
      {{{"state", "protected"}}, &BucketFigures::protected_objects, &BucketFigures::protected_bytes},
      {{{"state", "orphaned"}}, &BucketFigures::orphans_found, &BucketFigures::orphan_bytes},
  }};
  out.family(Type::gauge, "heimdall_storage_bucket_objects", "Objects by what is known of them; each is in one state.");
  for (const BucketRow& row : rows) {
    for (const StateOf& state : states) out.add(row.labels, state.label, row.board->figures.*state.objects);
  }
  out.family(Type::gauge, "heimdall_storage_bucket_bytes", "Bytes of the objects in each state.");
  for (const BucketRow& row : rows) {
    for (const StateOf& state : states) out.add(row.labels, state.label, row.board->figures.*state.bytes);
  }
}

// young + in_grace + due are all orphans: how old they are, and how long they have been seen to be orphans.
void write_ages(MetricsText& out, std::span<const BucketRow> rows) {
  bucket_gauge(out, rows, "heimdall_storage_bucket_young_objects", "Orphans that are younger than min_age.",
               [](const BucketFigures& f) { return f.young_objects; });
  bucket_gauge(out, rows, "heimdall_storage_bucket_young_bytes", "Bytes of orphans that are younger than min_age.",
               [](const BucketFigures& f) { return f.orphan_bytes - std::min(f.orphan_bytes, f.in_grace_bytes + f.due_bytes); });
  bucket_gauge(out, rows, "heimdall_storage_bucket_in_grace_objects", "Orphans that are old enough, but not known as orphans for long enough.",
               [](const BucketFigures& f) { return f.in_grace_objects; });
  bucket_gauge(out, rows, "heimdall_storage_bucket_in_grace_bytes", "Bytes of orphans whose grace is not over.",
               [](const BucketFigures& f) { return f.in_grace_bytes; });
  bucket_gauge(out, rows, "heimdall_storage_bucket_due_objects", "Orphans that a cleanup may delete.", [](const BucketFigures& f) { return f.due_objects; });
  bucket_gauge(out, rows, "heimdall_storage_bucket_due_bytes", "Bytes of orphans that a cleanup may delete.",
               [](const BucketFigures& f) { return f.due_bytes; });
}

void write_references(MetricsText& out, std::span<const BucketRow> rows) {
  bucket_gauge(out, rows, "heimdall_storage_bucket_references", "Distinct keys that rows refer to.", [](const BucketFigures& f) { return f.references; });
  bucket_gauge(out, rows, "heimdall_storage_bucket_dangling_references", "References without an object.",
               [](const BucketFigures& f) { return f.dangling_references; });
  bucket_family(out, rows, Type::gauge, "heimdall_storage_bucket_measured_timestamp_seconds",
                "When the scan began that the figures of the bucket come from; 0: there was none.",
                [](const BucketRow& row) { return seconds(row.board->measured_at); });
}

void write_bucket_counters(MetricsText& out, std::span<const BucketRow> rows) {
  // What is in doubt is counted once it is looked up.
  constexpr std::array kCounted = {Outcome::deleted, Outcome::already_gone, Outcome::failed, Outcome::skipped_referenced, Outcome::skipped_changed};
  std::vector<MetricLabels> labels;
  for (const Outcome outcome : kCounted) labels.push_back(MetricLabels{{"outcome", to_string(outcome)}});
  out.family(Type::counter, "heimdall_storage_deletions_total", "Candidates by what became of them; failed ones are still there.");
  for (const BucketRow& row : rows) {
    for (std::size_t i = 0; i < kCounted.size(); ++i) out.add(row.labels, labels[i], row.counts->by_outcome.at(static_cast<std::size_t>(kCounted.at(i))));
  }
  bucket_family(out, rows, Type::gauge, "heimdall_storage_deletions_in_doubt",
                "Objects whose delete an ended run sent, or was about to, and whose outcome is not known yet; looked at once a minute.",
                [](const BucketRow& row) { return row.board->in_doubt; });
  const auto counter = [&](std::string_view name, std::string_view help, auto member) {
    bucket_family(out, rows, Type::counter, name, help, [member](const BucketRow& row) { return row.counts->*member; });
  };
  counter("heimdall_storage_deleted_bytes_total", "Bytes of the objects that were deleted.", &BucketCounts::deleted_bytes);
  counter("heimdall_storage_listed_objects_total", "Objects that listings went through.", &BucketCounts::listed_objects);
  bucket_family(out, rows, Type::gauge, "heimdall_storage_listing_objects_per_second", "How fast the last listing of the bucket was; 0: there was none.",
                [](const BucketRow& row) { return row.counts->listed_per_second; });
}

void write_buckets(MetricsText& out, const MetricsView& view, const RunCounts& runs) {
  static const BucketCounts kNone;
  std::vector<BucketRow> rows;
  rows.reserve(view.buckets.size());
  for (const BucketBoard& board : view.buckets) {
    const auto counts = runs.buckets.find(board.name);
    rows.push_back({&board, MetricLabels{{"bucket", board.name}}, counts == runs.buckets.end() ? &kNone : &counts->second});
  }
  write_platform_gauges(out, rows);
  write_states(out, rows);
  write_ages(out, rows);
  write_references(out, rows);
  write_bucket_counters(out, rows);
}

void write_guards(MetricsText& out, const RunCounts& runs) {
  out.family(Type::counter, "heimdall_storage_guard_refusals_total", "Refusals by the guard that refused.");
  for (std::size_t i = 0; i < kGuardNames.size(); ++i) out.add(MetricLabels{{"guard", kGuardNames[i]}}, runs.guard_refusals[i]);
}

// A run that is under way was tried, too.
LastTimes with_live_runs(LastTimes last, const MetricsView& view, std::string_view task) {
  for (const LiveRun& run : view.runs) {
    if (to_string(run.request.task) == task && run.started_at) last.attempt = std::max(last.attempt, run.started_at);
  }
  return last;
}

void write_runs(MetricsText& out, const MetricsView& view, const RunCounts& runs) {
  out.family(Type::counter, "heimdall_storage_runs_total", "Ended runs by how they ended.");
  for (const auto& [task, counts] : runs.tasks) {
    for (const RunStatus status : {RunStatus::success, RunStatus::partial, RunStatus::failed, RunStatus::refused, RunStatus::interrupted}) {
      out.add(MetricLabels{{"task", task}, {"status", to_string(status)}}, counts.ended[static_cast<std::size_t>(status)]);
    }
  }
  out.family(Type::histogram, "heimdall_storage_run_duration_seconds", "How long runs took.");
  for (const auto& [task, counts] : runs.tasks) {
    out.add_histogram(MetricLabels{{"task", task}}, counts.took.bounds(), counts.took.counts(), counts.took.sum_seconds());
  }
  out.family(Type::histogram, "heimdall_storage_phase_duration_seconds", "How long phases of runs took, each for one bucket.");
  for (const auto& [phase, took] : runs.phases) out.add_histogram(MetricLabels{{"phase", phase}}, took.bounds(), took.counts(), took.sum_seconds());
  out.family(Type::gauge, "heimdall_storage_last_attempt_timestamp_seconds", "When the last run of the task began; 0: there was none.");
  for (const auto& [task, counts] : runs.tasks) {
    out.add(MetricLabels{{"task", task}}, seconds(with_live_runs(counts.last, view, task).attempt));
  }
  out.family(Type::gauge, "heimdall_storage_last_success_timestamp_seconds", "When the last successful run of the task ended; 0: there was none.");
  for (const auto& [task, counts] : runs.tasks) out.add(MetricLabels{{"task", task}}, seconds(counts.last.success));
  out.family(Type::gauge, "heimdall_storage_run_in_progress", "1 while a run of the task is under way.");
  for (const auto& [task, counts] : runs.tasks) {
    const bool is_under_way = std::any_of(view.runs.begin(), view.runs.end(),
                                          [&, &name = task](const LiveRun& run) { return run.started && to_string(run.request.task) == name; });
    out.add(MetricLabels{{"task", task}}, is_under_way ? 1U : 0U);
  }
  out.family(Type::gauge, "heimdall_storage_run_queue_length", "Runs that wait behind the one under way.");
  out.add({}, static_cast<std::uint64_t>(std::count_if(view.runs.begin(), view.runs.end(), [](const LiveRun& run) { return !run.started; })));
}

void write_schedules(MetricsText& out, const MetricsView& view, const RunCounts& runs) {
  const auto family = [&](Type type, std::string_view name, std::string_view help, const auto& value) {
    out.family(type, name, help);
    for (const ScheduleState& schedule : view.schedules) out.add(MetricLabels{{"schedule", schedule.name}}, value(schedule));
  };
  const auto last = [&](const ScheduleState& schedule) {
    const auto at = runs.schedules.find(schedule.name);
    return at == runs.schedules.end() ? LastTimes() : at->second;
  };
  family(Type::gauge, "heimdall_storage_schedule_last_success_timestamp_seconds", "When the last successful run of the schedule ended; 0: there was none.",
         [&](const ScheduleState& s) { return seconds(last(s).success); });
  family(Type::gauge, "heimdall_storage_schedule_last_attempt_timestamp_seconds", "When the last run of the schedule began; 0: there was none.",
         [&](const ScheduleState& s) { return seconds(last(s).attempt); });
  family(Type::gauge, "heimdall_storage_schedule_next_run_timestamp_seconds", "When the schedule is due next.",
         [](const ScheduleState& s) { return seconds(s.next.time_since_epoch()); });
  family(Type::gauge, "heimdall_storage_schedule_interval_seconds", "The longest time between the next runs of the schedule.",
         [](const ScheduleState& s) { return seconds(s.interval); });
  family(Type::counter, "heimdall_storage_schedule_skipped_total", "Due times that found a run under way.", [](const ScheduleState& s) { return s.skipped; });
  family(Type::counter, "heimdall_storage_schedule_missed_total", "Due times while the service was down, or the clock was stepped.",
         [](const ScheduleState& s) { return s.missed; });
  family(Type::counter, "heimdall_storage_schedule_retries_total", "Runs after one that failed for a reason that may pass.",
         [](const ScheduleState& s) { return s.retried; });
}

std::set<std::string_view> stores_in(const MetricsView& view) {
  std::set<std::string_view> stores;
  for (const BucketBoard& bucket : view.buckets) stores.insert(bucket.store);
  for (const DependencyState& dependency : view.dependencies) {
    if (dependency.kind == "store") stores.insert(dependency.name);
  }
  return stores;
}

struct StoreRow {
  std::string_view name;
  StoreCounts counts;
};

// Series of an operation exist from its first request on; those that every store is asked for from the start.
bool is_shown(std::size_t operation, const OperationCounts& counts) {
  constexpr std::size_t kUsual = 3;
  return operation < kUsual || !counts.took.empty() || counts.retried > 0;
}

template <class Write>
void each_operation(std::span<const StoreRow> rows, const Write& write) {
  for (const StoreRow& row : rows) {
    for (std::size_t i = 0; i < kStoreOperations.size(); ++i) {
      if (is_shown(i, row.counts.operations[i])) write(row.name, kStoreOperations[i], row.counts.operations[i]);
    }
  }
}

void write_requests(MetricsText& out, std::span<const StoreRow> rows) {
  out.family(Type::counter, "heimdall_storage_store_requests_total", "Requests to stores by operation and result: an HTTP status, or why there was none.");
  each_operation(rows, [&](std::string_view store, std::string_view operation, const OperationCounts& counts) {
    for (std::size_t i = 0; i < kStoreStatuses.size(); ++i) {
      if (i != 0 && counts.ended[i] == 0) continue;
      out.add(MetricLabels{{"store", store}, {"operation", operation}, {"status", kStoreStatuses[i]}}, counts.ended[i]);
    }
  });
  out.family(Type::histogram, "heimdall_storage_store_request_duration_seconds", "How long requests to stores took.");
  each_operation(rows, [&](std::string_view store, std::string_view operation, const OperationCounts& counts) {
    out.add_histogram(MetricLabels{{"store", store}, {"operation", operation}}, counts.took.bounds(), counts.took.counts(), counts.took.sum_seconds());
  });
  out.family(Type::counter, "heimdall_storage_store_retries_total", "Requests to stores that were sent once more.");
  each_operation(rows, [&](std::string_view store, std::string_view operation, const OperationCounts& counts) {
    out.add(MetricLabels{{"store", store}, {"operation", operation}}, counts.retried);
  });
  out.family(Type::gauge, "heimdall_storage_store_requests_in_flight", "Requests to the store that wait for their answer.");
  for (const StoreRow& row : rows) out.add(MetricLabels{{"store", row.name}}, row.counts.in_flight);
}

// Where a store does not tell, there is no series: 0 would be an alarm.
void write_capacities(MetricsText& out, const MetricsView& view) {
  std::map<std::string_view, StoreCapacity> known;
  for (const BucketBoard& bucket : view.buckets) {
    if (bucket.capacity) known.try_emplace(bucket.store, *bucket.capacity);
  }
  const auto family = [&](std::string_view name, std::string_view help, std::uint64_t StoreCapacity::*bytes) {
    out.family(Type::gauge, name, help);
    for (const auto& [store, capacity] : known) out.add(MetricLabels{{"store", store}}, capacity.*bytes);
  };
  family("heimdall_storage_store_capacity_bytes", "What the disks of the store hold; only where it tells.", &StoreCapacity::total_bytes);
  family("heimdall_storage_store_used_bytes", "What is used of them, by whomever.", &StoreCapacity::used_bytes);
  family("heimdall_storage_store_free_bytes", "What is free on them for us.", &StoreCapacity::free_bytes);
}

void write_dependencies(MetricsText& out, const MetricsView& view) {
  out.family(Type::gauge, "heimdall_storage_up", "1 if the dependency was well when it was last looked at.");
  for (const DependencyState& dependency : view.dependencies) {
    out.add(MetricLabels{{"kind", dependency.kind}, {"name", dependency.name}}, dependency.status == DependencyState::Status::ok ? 1U : 0U);
  }
}

void write_service(MetricsText& out, Timestamp started, const ConfigReload& reload) {
  const BuildInfo build = build_info();
  out.family(Type::gauge, "heimdall_storage_build_info", "Always 1; the labels say which program this is.");
  out.add(MetricLabels{{"version", build.version}, {"revision", build.revision}, {"compiler", build.compiler}}, 1U);
  out.family(Type::gauge, "heimdall_storage_start_time_seconds", "When the service was started.");
  out.add({}, seconds(started.time_since_epoch()));
  out.family(Type::gauge, "heimdall_storage_config_last_reload_successful", "1 if the configuration could be read when that was last tried.");
  out.add({}, reload.status == ConfigReload::Status::ok ? 1U : 0U);
  out.family(Type::gauge, "heimdall_storage_config_last_reload_timestamp_seconds", "When it was last tried.");
  out.add({}, seconds(reload.at.time_since_epoch()));
}

void write_process(MetricsText& out) {
  const ProcessFigures process = process_figures();
  const auto one = [&](Type type, std::string_view name, std::string_view help, auto value) {
    out.family(type, name, help);
    out.add({}, value);
  };
  // Where the kernel does not tell, nothing is said: 0 would look like a restart.
  if (process.threads > 0) {
    one(Type::counter, "process_cpu_seconds_total", "Time of processors, user and system.", process.cpu_seconds);
    one(Type::gauge, "process_resident_memory_bytes", "Memory in use.", process.resident_bytes);
    one(Type::gauge, "process_start_time_seconds", "When the process was started.", process.start_time_seconds);
    one(Type::gauge, "process_threads", "Threads.", process.threads);
  }
  one(Type::gauge, "process_open_fds", "Open file descriptors.", process.open_fds);
  one(Type::gauge, "process_max_fds", "The limit of open file descriptors.", process.max_fds);
}

}  // namespace

std::string Metrics::render(const MetricsView& view) const {
  constexpr std::size_t kSpare = 4096;  // the next text is a little longer, now and then
  MetricsText out(state_->last_bytes.load(std::memory_order_relaxed) + kSpare);
  {
    auto runs = state_->runs.lock();
    write_buckets(out, view, *runs);
    write_guards(out, *runs);
    write_runs(out, view, *runs);
    write_schedules(out, view, *runs);
  }
  std::vector<StoreRow> stores;
  for (const std::string_view name : stores_in(view)) {
    auto counted = state_->stores.lock();
    const auto at = counted->find(name);
    stores.push_back({name, at == counted->end() ? StoreCounts() : at->second});
  }
  write_requests(out, stores);
  write_capacities(out, view);
  write_dependencies(out, view);
  write_service(out, state_->started, *state_->reload.lock());
  out.family(Type::counter, "heimdall_storage_log_lines_total", "Lines that were logged.");
  for (const LogLevel level : {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error}) {
    out.add(MetricLabels{{"level", to_string(level)}}, state_->log_lines[static_cast<std::size_t>(level)].load(std::memory_order_relaxed));
  }
  out.family(Type::counter, "heimdall_storage_http_requests_total", "Requests to this service by route and status.");
  // The lock is named: a temporary's would end before the first turn of the loop.
  for (auto routes = state_->http.lock(); const auto& [key, count] : *routes) {
    out.add(MetricLabels{{"route", key.first}, {"code", metric_number(key.second)}}, count);
  }
  write_process(out);
  std::string text = std::move(out).take();
  state_->last_bytes.store(text.size(), std::memory_order_relaxed);
  return text;
}

}  // namespace heimdall
