#include "daemon/metrics.h"

#include <algorithm>

#include "daemon/metrics_state.h"

namespace heimdall {

namespace {

// More would be a mistake of ours: routes and stores come from tables and the configuration.
constexpr std::size_t kMostRoutes = 200;
constexpr std::size_t kMostStores = 10'000;

constexpr std::string_view kOther = "other";
constexpr std::string_view kScheduleTrigger = "schedule ";

template <std::size_t n>
std::size_t index_of(const std::array<std::string_view, n>& names, std::string_view name) {
  const auto at = std::find(names.begin(), names.end() - 1, name);
  return static_cast<std::size_t>(at - names.begin());
}

StoreCounts& counts_of(std::map<std::string, StoreCounts, std::less<>>& stores, std::string_view store) {
  const auto at = stores.find(store);
  if (at != stores.end()) return at->second;
  return stores[std::string(stores.size() < kMostStores ? store : kOther)];
}

void note_latest(std::optional<Timestamp>& latest, Timestamp time) {
  if (time != Timestamp{} && (!latest || *latest < time)) latest = time;
}

void note_any(LastTimes& last, const Attempts& attempts) {
  note_latest(last.attempt, attempts.last_attempt);
  if (attempts.last_success) note_latest(last.success, *attempts.last_success);
}

// It has just ended: also if the clock was set back since the one before.
void note_newest(LastTimes& last, const Attempts& attempts) {
  if (attempts.last_attempt != Timestamp{}) last.attempt = attempts.last_attempt;
  if (attempts.last_success) last.success = attempts.last_success;
}

void note(RunCounts& runs, const Attempts& attempts, void (&note_in)(LastTimes&, const Attempts&)) {
  if (const auto at = runs.tasks.find(attempts.command); at != runs.tasks.end()) note_in(at->second.last, attempts);
  const std::string_view trigger = attempts.trigger;
  if (trigger.starts_with(kScheduleTrigger)) note_in(runs.schedules[std::string(trigger.substr(kScheduleTrigger.size()))], attempts);
}

}  // namespace

Metrics::Metrics(Timestamp started) : state_(std::make_unique<State>()) {
  state_->started = started;
  *state_->reload.lock() = {ConfigReload::Status::ok, started};
  auto runs = state_->runs.lock();
  for (const Task task : {Task::cleanup, Task::stats, Task::plan, Task::apply, Task::recover}) runs->tasks.try_emplace(std::string(to_string(task)));
  for (const std::string_view phase : {"references", "listing", "recheck", "sweep", "other"}) {
    runs->phases.try_emplace(std::string(phase), RunHistogram(kRunBounds));
  }
}

Metrics::~Metrics() = default;

void Metrics::restore(std::span<const Attempts> all) {
  auto runs = state_->runs.lock();
  for (const Attempts& attempts : all) note(*runs, attempts, note_any);
}

void Metrics::run_began(const RunRequest&, const std::string&) {}

void Metrics::phase_ended(const std::string& bucket, std::string_view phase, std::chrono::nanoseconds took, std::uint64_t done) {
  auto runs = state_->runs.lock();
  auto at = runs->phases.find(phase);
  if (at == runs->phases.end()) at = runs->phases.find(kOther);
  at->second.add(took);
  if (phase != "listing") return;
  BucketCounts& counts = runs->buckets[bucket];
  counts.listed_objects += done;
  const double seconds = std::chrono::duration<double>(took).count();
  counts.listed_per_second = seconds > 0 ? static_cast<double>(done) / seconds : 0;
}

void Metrics::run_ended(const RunRequest& request, const RunOutcome& outcome) {
  const RunReport& report = outcome.report;
  auto runs = state_->runs.lock();
  TaskCounts& task = runs->tasks[std::string(to_string(request.task))];
  ++task.ended.at(static_cast<std::size_t>(report.status));
  if (report.completed_at && report.started_at != Timestamp{}) task.took.add(*report.completed_at - report.started_at);
  const bool well = report.status == RunStatus::success;
  note(*runs, {std::string(to_string(request.task)), request.trigger, report.started_at, well ? report.completed_at : std::nullopt}, note_newest);
  for (const Refusal& refusal : outcome.refusals) ++runs->guard_refusals.at(static_cast<std::size_t>(refusal.guard));
}

void Metrics::deletions(std::span<const Deletion> deletions) {
  auto runs = state_->runs.lock();
  for (const Deletion& deletion : deletions) {
    BucketCounts& counts = runs->buckets[deletion.bucket];
    ++counts.by_outcome.at(static_cast<std::size_t>(deletion.outcome));
    if (deletion.outcome == Outcome::deleted) counts.deleted_bytes += deletion.object.size_bytes;
  }
}

void Metrics::request_began(std::string_view store, std::string_view) {
  auto stores = state_->stores.lock();
  ++counts_of(*stores, store).in_flight;
}

void Metrics::request_ended(std::string_view store, std::string_view operation, std::string_view status, std::chrono::nanoseconds took) {
  auto stores = state_->stores.lock();
  StoreCounts& counts = counts_of(*stores, store);
  if (counts.in_flight > 0) --counts.in_flight;
  OperationCounts& mine = counts.operations[index_of(kStoreOperations, operation)];
  ++mine.ended[index_of(kStoreStatuses, status)];
  mine.took.add(took);
}

void Metrics::request_retried(std::string_view store, std::string_view operation) {
  auto stores = state_->stores.lock();
  ++counts_of(*stores, store).operations[index_of(kStoreOperations, operation)].retried;
}

void Metrics::log_line(LogLevel level) { state_->log_lines.at(static_cast<std::size_t>(level)).fetch_add(1, std::memory_order_relaxed); }

void Metrics::reloaded(bool successful, Timestamp now) {
  *state_->reload.lock() = {successful ? ConfigReload::Status::ok : ConfigReload::Status::failed, now};
}

ConfigReload Metrics::last_reload() const { return *state_->reload.lock(); }

void Metrics::http_request(std::string_view route, int status) {
  auto http = state_->http.lock();
  std::pair<std::string, int> key(route, status);
  if (http->size() >= kMostRoutes && !http->contains(key)) key.first = kOther;
  ++(*http)[std::move(key)];
}

}  // namespace heimdall
