#include <algorithm>
#include <chrono>

#include "app/report_json.h"
#include "base/format.h"
#include "base/text.h"
#include "daemon/api/fields.h"
#include "daemon/api/routes.h"

namespace heimdall {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kHistoryDays = 90;
constexpr std::size_t kMostHistoryDays = 731;  // as long as points are kept
constexpr std::size_t kNextRuns = 5;
constexpr std::size_t kMostNextRuns = 100;

Json time_or_null(const std::optional<Timestamp>& time) { return time ? Json(rfc3339_exact(*time)) : Json(nullptr); }

Json capacity_json(const std::optional<StoreCapacity>& capacity) {
  if (!capacity) return nullptr;
  return {{"total_bytes", capacity->total_bytes}, {"used_bytes", capacity->used_bytes}, {"free_bytes", capacity->free_bytes}};
}

Json bucket_json(const BucketBoard& bucket, const HealthThresholds& thresholds) {
  const BucketFigures& figures = bucket.figures;
  return {{"name", bucket.name},
          {"store", bucket.store},
          {"description", bucket.description},
          {"mode", bucket.mode},
          {"health", to_string(health_of(figures.orphan_bytes, figures.total_bytes, thresholds))},
          {"orphan_percentage", orphaned_percentage(figures.orphan_bytes, figures.total_bytes)},
          {"measured_at", time_or_null(bucket.measured_at)},
          {"capacity", capacity_json(bucket.capacity)},
          {"figures", figures_json(figures)}};
}

ServerResponse list_buckets(const ApiContext& context, const ApiCall& call) {
  QueryFields fields(call.request);
  if (const auto problem = fields.problem()) return response_of(*problem);
  const auto config = context.config();
  Json buckets = Json::array();
  for (const BucketBoard& bucket : context.board.buckets()) buckets.push_back(bucket_json(bucket, config->health));
  return json_response(200, {{"buckets", std::move(buckets)}});
}

ServerResponse show_bucket(const ApiContext& context, const ApiCall& call) {
  QueryFields fields(call.request);
  if (const auto problem = fields.problem()) return response_of(*problem);
  const auto config = context.config();
  const auto bucket = context.board.bucket(call.path.at("name"));
  if (!bucket) return response_of(no_such_bucket(*config, call.path.at("name"), 404));
  return json_response(200, bucket_json(*bucket, config->health));
}

Json day_json(const BucketDay& day) {
  return {{"day", rfc3339(day.day).substr(0, 10)},
          {"measured_at", rfc3339_exact(day.measured_at)},
          {"total_objects", day.total_objects},
          {"total_bytes", day.total_bytes},
          {"referenced_objects", day.referenced_objects},
          {"referenced_bytes", day.referenced_bytes},
          {"orphans_found", day.orphans_found},
          {"orphan_bytes", day.orphan_bytes},
          {"due_objects", day.due_objects},
          {"due_bytes", day.due_bytes},
          {"orphans_deleted", day.orphans_deleted},
          {"bytes_deleted", day.bytes_deleted}};
}

ServerResponse bucket_history(const ApiContext& context, const ApiCall& call) {
  const std::string& name = call.path.at("name");
  QueryFields fields(call.request);
  const std::size_t days = fields.limit("days", kHistoryDays, kMostHistoryDays);
  if (const auto problem = fields.problem()) return response_of(*problem);
  const auto config = context.config();
  if (config->find_bucket(name) == nullptr) return response_of(no_such_bucket(*config, name, 404));
  const auto today = std::chrono::floor<std::chrono::days>(context.clock.now());
  const auto points = context.state.bucket_history(name, today - std::chrono::days(days - 1));
  if (!points) return response_of(problem_of(points.error()));
  Json lines = Json::array();
  for (const BucketDay& day : *points) lines.push_back(day_json(day));
  return json_response(200, {{"bucket", name}, {"points", std::move(lines)}});
}

// The times of a schedule from `first` on.
Json next_runs(const Config& config, const ScheduleState& state, std::size_t count) {
  Json times = Json::array();
  const auto at = std::find_if(config.schedules.begin(), config.schedules.end(), [&](const ScheduleConfig& one) { return one.name == state.name; });
  Timestamp next = state.next;
  for (std::size_t i = 0; i < count; ++i) {
    times.push_back(rfc3339_exact(next));
    if (at == config.schedules.end()) break;
    next = at->timing.next_after(next);
  }
  return times;
}

ServerResponse list_schedules(const ApiContext& context, const ApiCall& call) {
  QueryFields fields(call.request);
  const std::size_t count = fields.limit("count", kNextRuns, kMostNextRuns);
  if (const auto problem = fields.problem()) return response_of(*problem);
  const auto config = context.config();
  Json schedules = Json::array();
  for (const ScheduleState& state : context.scheduler.states()) {
    const auto at = std::find_if(config->schedules.begin(), config->schedules.end(), [&](const ScheduleConfig& one) { return one.name == state.name; });
    schedules.push_back({{"name", state.name},
                         {"task", to_string(state.task)},
                         {"timing", state.timing},
                         {"buckets", at == config->schedules.end() ? std::vector<std::string>() : at->buckets},
                         {"next", rfc3339_exact(state.next)},
                         {"next_runs", next_runs(*config, state, count)},
                         {"last_due", time_or_null(state.last_due)},
                         {"last_run_id", state.last_run_id.empty() ? Json(nullptr) : Json(state.last_run_id)},
                         {"retry_at", time_or_null(state.retry_at)},
                         {"started", state.started},
                         {"skipped", state.skipped},
                         {"missed", state.missed},
                         {"retried", state.retried}});
  }
  return json_response(200, {{"schedules", std::move(schedules)}});
}

}  // namespace

void add_bucket_routes(Router& router, const ApiContext& context) {
  const auto with = [&context](ServerResponse (*handle)(const ApiContext&, const ApiCall&)) {
    return [&context, handle](const ApiCall& call) { return handle(context, call); };
  };
  router.add({"GET", "/api/v1/buckets", RunsOn::server, with(list_buckets)});
  router.add({"GET", "/api/v1/buckets/{name}", RunsOn::server, with(show_bucket)});
  router.add({"GET", "/api/v1/buckets/{name}/history", RunsOn::records, with(bucket_history)});
  router.add({"GET", "/api/v1/schedules", RunsOn::server, with(list_schedules)});
}

}  // namespace heimdall
