#include <algorithm>
#include <cstdint>

#include "app/report_json.h"
#include "base/format.h"
#include "base/text.h"
#include "daemon/api/fields.h"
#include "daemon/api/routes.h"
#include "daemon/api/run_json.h"

namespace heimdall {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kRunsPerPage = 20;
constexpr std::size_t kMostRuns = 200;
constexpr std::size_t kDeletionsPerPage = 1000;
constexpr std::size_t kMostDeletions = 10'000;

ServerResponse start_run(const ApiContext& context, const ApiCall& call) {
  BodyFields fields(call.request.body);
  const auto task = fields.text("task");
  const bool dry_run = fields.flag("dry_run", false);
  const auto buckets = fields.texts("buckets");
  if (!task) {
    fields.refuse("task", "'task' is missing", "give \"cleanup\" or \"stats\"");
  } else if (*task != "cleanup" && *task != "stats") {
    fields.refuse("task", format("'task' is '{}'", printable(*task)), "give \"cleanup\" or \"stats\"; plans have POST /api/v1/plans");
  }
  const auto config = context.config();
  for (const std::string& name : buckets.value_or(std::vector<std::string>())) {
    if (config->find_bucket(name) != nullptr) continue;
    const Problem unknown = no_such_bucket(*config, name, 422);
    fields.refuse("buckets", unknown.detail, unknown.hint);
  }
  if (const auto problem = fields.problem()) return response_of(*problem);
  RunRequest request;
  request.task = *task == "cleanup" ? Task::cleanup : Task::stats;
  request.dry_run = dry_run ? RunReport::DryRun::yes : RunReport::DryRun::no;
  request.buckets = buckets.value_or(std::vector<std::string>());
  auto run_id = context.runner.submit(std::move(request));
  if (!run_id) return response_of(problem_of(run_id.error()));
  return accepted_run(*run_id);
}

// Those that the history does not have yet: they wait, or began a moment ago.
bool is_wanted(const LiveRun& run, const RunQuery& query, const std::string& status) {
  const auto& buckets = run.request.buckets;
  return (query.command.empty() || query.command == to_string(run.request.task)) &&
         (status.empty() || status == (run.started ? "running" : "queued")) &&
         (query.bucket.empty() || buckets.empty() || std::find(buckets.begin(), buckets.end(), query.bucket) != buckets.end());
}

ServerResponse list_runs(const ApiContext& context, const ApiCall& call) {
  QueryFields fields(call.request);
  RunQuery query;
  query.limit = fields.limit("limit", kRunsPerPage, kMostRuns);
  query.before = fields.text("before").value_or("");
  query.command = fields.text("command").value_or("");
  query.bucket = fields.text("bucket").value_or("");
  const std::string status = fields.text("status").value_or("");
  if (!query.before.empty() && !is_run_id(query.before)) fields.refuse("before", "'before' is no run id", "give `next` of the page before");
  query.status = run_status_named(status);
  if (!status.empty() && status != "queued" && !query.status) {
    fields.refuse("status", format("'status' is '{}'", printable(status)), "give queued, running, success, partial, failed, refused or interrupted");
  }
  if (const auto problem = fields.problem()) return response_of(*problem);

  std::vector<LiveRun> live;
  for (LiveRun& run : context.runner.all_live()) {
    if (is_wanted(run, query, status)) live.push_back(std::move(run));
  }
  std::vector<RunReport> saved;
  const std::size_t limit = query.limit;
  if (status != "queued") {
    ++query.limit;  // one more tells whether there is a next page
    auto found = context.state.runs(query);
    if (!found) return response_of(problem_of(found.error()));
    saved = std::move(*found);
  }
  const bool more = saved.size() > limit;
  if (more) saved.resize(limit);

  Json runs = Json::array();
  const auto saved_of = [&](const LiveRun& run) {
    return std::find_if(saved.begin(), saved.end(), [&](const RunReport& report) { return report.run_id == run.run_id; });
  };
  // The first page begins with what waits; the newest first, as below.
  if (query.before.empty()) {
    for (auto run = live.rbegin(); run != live.rend(); ++run) {
      if (saved_of(*run) == saved.end()) runs.push_back(live_run_json("run", *run, std::nullopt, context.clock.now()));
    }
  }
  for (const RunReport& report : saved) {
    const auto run = std::find_if(live.begin(), live.end(), [&](const LiveRun& one) { return one.run_id == report.run_id; });
    runs.push_back(run != live.end() ? live_run_json("run", *run, report, context.clock.now()) : report_json("run", report, to_string(report.status)));
  }
  return json_response(200, {{"runs", std::move(runs)}, {"next", more ? Json(saved.back().run_id) : Json(nullptr)}});
}

std::optional<std::string> told_summary(const EventLog& events, const std::string& run_id) {
  constexpr std::size_t kAll = 100'000;  // more than are kept
  const EventLog::Batch batch = events.after(0, run_id, kAll);
  for (auto event = batch.events.rbegin(); event != batch.events.rend(); ++event) {
    if (event->type == "summary") return event->json;
  }
  return std::nullopt;
}

ServerResponse show_run(const ApiContext& context, const ApiCall& call) {
  const std::string& id = call.path.at("id");
  if (!is_run_id(id)) return response_of(no_such_run(id));
  // Asked first: a run that ends in between is in the history then.
  const auto live = context.runner.live(id);
  auto saved = context.state.run(id);
  if (live) return json_response(200, live_run_json("summary", *live, saved ? *saved : std::nullopt, context.clock.now()));
  const bool is_whole = saved && *saved && (*saved)->status != RunStatus::running;
  // A run whose report could not be written (a full disk) is told as long as its events are.
  const auto told = is_whole ? std::nullopt : told_summary(context.events, id);
  if (told) return ServerResponse::text(200, "application/json", *told + "\n");
  if (saved && *saved) return json_response(200, report_json("summary", **saved, summary_status((*saved)->status)));
  return response_of(saved ? no_such_run(id) : problem_of(saved.error()));
}

ServerResponse cancel_run(const ApiContext& context, const ApiCall& call) {
  const std::string& id = call.path.at("id");
  if (!is_run_id(id)) return response_of(no_such_run(id));
  BodyFields fields(call.request.body);
  if (const auto problem = fields.problem()) return response_of(*problem);
  if (const auto cancelled = context.runner.cancel(id); !cancelled) {
    if (cancelled.error().code != ErrorCode::not_found) return response_of(problem_of(cancelled.error()));
    const auto saved = context.state.run(id);
    if (!saved) return response_of(problem_of(saved.error()));
    if (!*saved) return response_of(no_such_run(id));
    return response_of({409, format("run {} has ended ({})", id, to_string((*saved)->status)), "there is nothing left to cancel"});
  }
  return json_response(202, {{"run_id", id}, {"status", "cancelling"}});
}

ServerResponse list_deletions(const ApiContext& context, const ApiCall& call) {
  const std::string& id = call.path.at("id");
  QueryFields fields(call.request);
  const std::size_t limit = fields.limit("limit", kDeletionsPerPage, kMostDeletions);
  const std::uint64_t after = fields.count("after").value_or(0);
  if (const auto problem = fields.problem()) return response_of(*problem);
  if (!is_run_id(id)) return response_of(no_such_run(id));
  const auto live = context.runner.live(id);
  const auto saved = context.state.run(id);
  if (!saved) return response_of(problem_of(saved.error()));
  if (!*saved && !live) return response_of(no_such_run(id));
  auto row = static_cast<std::int64_t>(std::min<std::uint64_t>(after, INT64_MAX));
  Json lines = Json::array();
  while (lines.size() < limit) {
    const auto page = context.state.next_deletions(id, row, limit - lines.size());
    if (!page) return response_of(problem_of(page.error()));
    if (page->empty()) break;
    for (const Deletion& deletion : *page) lines.push_back(deletion_json(deletion));
  }
  auto behind = row;
  const auto rest = context.state.next_deletions(id, behind, 1);
  if (!rest) return response_of(problem_of(rest.error()));
  // A run under way goes on: the same cursor shows what comes.
  const bool more = !rest->empty() || live;
  return json_response(200, {{"deletions", std::move(lines)}, {"next", more ? Json(format("{}", row)) : Json(nullptr)}});
}

}  // namespace

void add_run_routes(Router& router, const ApiContext& context) {
  const auto with = [&context](ServerResponse (*handle)(const ApiContext&, const ApiCall&)) {
    return [&context, handle](const ApiCall& call) { return handle(context, call); };
  };
  router.add({"POST", "/api/v1/runs", RunsOn::server, with(start_run)});
  router.add({"GET", "/api/v1/runs", RunsOn::records, with(list_runs)});
  router.add({"GET", "/api/v1/runs/{id}", RunsOn::records, with(show_run)});
  router.add({"DELETE", "/api/v1/runs/{id}", RunsOn::records, with(cancel_run)});
  router.add({"POST", "/api/v1/runs/{id}/cancel", RunsOn::records, with(cancel_run)});
  router.add({"GET", "/api/v1/runs/{id}/deletions", RunsOn::records, with(list_deletions)});
}

}  // namespace heimdall
