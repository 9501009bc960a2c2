#include <algorithm>
#include <memory>
#include <mutex>

#include "app/report_json.h"
#include "base/format.h"
#include "base/text.h"
#include "daemon/api/fields.h"
#include "daemon/api/plan_shelf.h"
#include "daemon/api/routes.h"
#include "pipeline/approve.h"

namespace heimdall {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kPlansPerPage = 20;
constexpr std::size_t kMostPlans = 100;
constexpr std::size_t kCandidatesPerPage = 1000;
constexpr std::size_t kMostCandidates = 10'000;

Problem no_such_plan(const std::string& id) {
  return {404, format("there is no plan '{}'", printable(id)), "GET /api/v1/plans lists those that are there"};
}

class PlanRoutes {
 public:
  explicit PlanRoutes(const ApiContext& context) : context_(context), shelf_(context.directory) {}

  ServerResponse create(const ApiCall& call) {
    BodyFields fields(call.request.body);
    const auto buckets = fields.texts("buckets");
    const bool ignore_grace = fields.flag("ignore_grace", false);
    const auto limit = fields.count("limit");
    const auto accept = fields.texts("accept");
    const auto config = context_.config();
    for (const std::string& name : buckets.value_or(std::vector<std::string>())) {
      if (config->find_bucket(name) != nullptr) continue;
      const Problem unknown = no_such_bucket(*config, name, 422);
      fields.refuse("buckets", unknown.detail, unknown.hint);
    }
    RunRequest request;
    request.task = Task::plan;
    for (const std::string& name : accept.value_or(std::vector<std::string>())) {
      const auto guard = guard_named(name);
      if (guard) {
        request.accepted.push_back(*guard);
      } else {
        fields.refuse("accept", format("'{}' is no guard", printable(name)), guard_hint(name));
      }
    }
    if (const auto problem = fields.problem()) return response_of(*problem);
    request.buckets = buckets.value_or(std::vector<std::string>());
    request.selection = {ignore_grace ? Selection::Grace::ignore : Selection::Grace::respect, limit};
    auto run_id = context_.runner.submit(std::move(request));
    if (!run_id) return response_of(problem_of(run_id.error()));
    return accepted_run(*run_id, {{"plan_id", *run_id}});
  }

  ServerResponse list(const ApiCall& call) {
    QueryFields fields(call.request);
    const std::size_t limit = fields.limit("limit", kPlansPerPage, kMostPlans);
    const std::string before = fields.text("before").value_or("");
    if (!before.empty() && !is_run_id(before)) fields.refuse("before", "'before' is no plan id", "give `next` of the page before");
    if (const auto problem = fields.problem()) return response_of(*problem);
    auto ids = shelf_.ids(before, limit + 1);
    if (!ids) return response_of(problem_of(ids.error()));
    const bool more = ids->size() > limit;
    if (more) ids->pop_back();
    Json plans = Json::array();
    for (const std::string& id : *ids) {
      if (call.stop.stop_requested()) break;
      auto plan = shelf_.open(id);
      if (!plan && plan.error().code == ErrorCode::not_found) continue;  // discarded meanwhile
      Json line = {{"plan_id", id}};
      if (plan) {
        put_standing(line, id, **plan);
        put_summary(line, **plan);
      } else {
        line["status"] = "damaged";
        line["message"] = plan.error().message;
      }
      plans.push_back(std::move(line));
    }
    return json_response(200, {{"plans", std::move(plans)}, {"next", more ? Json(ids->back()) : Json(nullptr)}});
  }

  ServerResponse show(const ApiCall& call) {
    const std::string& id = call.path.at("id");
    const auto plan = open(id);
    if (!plan) return response_of(plan.error());
    Json json = plan_json(**plan);
    json["plan_id"] = id;
    put_standing(json, id, **plan);
    return json_response(200, json);
  }

  // Each page reads the file up to where it ends: a page costs no memory but its own, whatever the plan.
  ServerResponse candidates(const ApiCall& call) {
    QueryFields fields(call.request);
    const std::size_t limit = fields.limit("limit", kCandidatesPerPage, kMostCandidates);
    const std::uint64_t after = fields.count("after").value_or(0);
    if (const auto problem = fields.problem()) return response_of(*problem);
    const auto plan = open(call.path.at("id"));
    if (!plan) return response_of(plan.error());
    Json lines = Json::array();
    std::uint64_t seen = 0;
    const std::uint64_t end = after + std::min<std::uint64_t>(limit, UINT64_MAX - after);
    const Error enough{ErrorCode::cancelled, "enough"};
    const auto visited = (*plan)->for_each([&](const BucketPlan& bucket, const Candidate& candidate) -> Result<void> {
      if (seen >= end || call.stop.stop_requested()) return enough;
      if (seen++ >= after) lines.push_back(candidate_json(bucket, candidate));
      return {};
    });
    if (!visited && visited.error().code != ErrorCode::cancelled) return response_of(problem_of(visited.error()));
    if (call.stop.stop_requested()) return response_of({503, "the service is stopping", "ask again when it is back"});
    const bool more = (*plan)->candidates() > seen;
    return json_response(200, {{"candidates", std::move(lines)}, {"total", (*plan)->candidates()}, {"next", more ? Json(format("{}", seen)) : Json(nullptr)}});
  }

  ServerResponse approve_plan(const ApiCall& call) {
    const std::string& id = call.path.at("id");
    BodyFields fields(call.request.body);
    const auto digest = fields.text("digest");
    if (!digest) fields.refuse("digest", "'digest' is missing", "give the `digest` of GET /api/v1/plans/ID: it says which plan you looked at");
    if (const auto problem = fields.problem()) return response_of(*problem);
    const std::scoped_lock lock(approving_);
    const auto plan = open(id);
    if (!plan) return response_of(plan.error());
    if (*digest != (*plan)->digest()) {
      return response_of({409, "the digest is not that of the plan", "look at the plan again: GET /api/v1/plans/" + id, "digest"});
    }
    if (const auto run = run_that_applies(id)) {
      return response_of({409, format("run {} carries the plan out already", *run), "a plan works once"});
    }
    auto used_by = context_.state.plan_user((*plan)->digest());
    if (!used_by) return response_of(problem_of(used_by.error()));
    // The run asks all this again; here it is said to the one who can do something about it.
    const auto config = context_.config();
    std::vector<BucketPolicy> policies;
    for (const BucketConfig& bucket : config->buckets) policies.push_back(bucket.policy);
    if (const auto approved = approve(**plan, Limits{context_.clock.now(), policies, *used_by}); !approved) {
      Problem problem = problem_of(approved.error());
      if (approved.error().code == ErrorCode::failed_precondition) problem.hint = "make a new plan: POST /api/v1/plans";
      return response_of(problem);
    }

    auto path = shelf_.path_of(id);
    if (!path) return response_of(problem_of(path.error()));
    RunRequest request;
    request.task = Task::apply;
    request.plan = std::move(*path);
    request.plan_digest = (*plan)->digest();
    for (const BucketPlan& bucket : (*plan)->buckets()) request.buckets.push_back(bucket.bucket);
    auto run_id = context_.runner.submit(std::move(request));
    if (!run_id) return response_of(problem_of(run_id.error()));
    return accepted_run(*run_id, {{"plan_id", id}});
  }

  ServerResponse discard(const ApiCall& call) {
    const std::string& id = call.path.at("id");
    BodyFields fields(call.request.body);
    if (const auto problem = fields.problem()) return response_of(*problem);
    if (!is_run_id(id)) return response_of(no_such_plan(id));
    const std::scoped_lock lock(approving_);
    if (const auto run = run_that_applies(id)) {
      return response_of({409, format("run {} is carrying the plan out", *run), format("cancel it first: POST /api/v1/runs/{}/cancel", *run)});
    }
    if (const auto discarded = shelf_.discard(id); !discarded) return response_of(problem_of(discarded.error()));
    return ServerResponse{.status = 204, .content_type = ""};
  }

 private:
  static std::string guard_hint(const std::string& name) {
    const std::vector<std::string> known(kGuardNames.begin(), kGuardNames.end());
    if (const auto near = nearest(name, known)) return format("did you mean '{}'?", *near);
    std::string all;
    for (const std::string& guard : known) all += (all.empty() ? "" : ", ") + guard;
    return format("guards are: {}", all);
  }

  tl::expected<std::shared_ptr<const Plan>, Problem> open(const std::string& id) {
    if (!is_run_id(id)) return tl::unexpected(no_such_plan(id));
    auto plan = shelf_.open(id);
    if (plan) return *plan;
    Problem problem = problem_of(plan.error());
    if (problem.status == 404) {
      const auto live = context_.runner.live(id);
      if (live && live->request.task == Task::plan) {
        problem.detail = format("plan '{}' is still being made", id);
        problem.hint = format("GET /api/v1/runs/{} tells how far it is", id);
      } else if (const auto saved = context_.state.run(id); saved && *saved && (*saved)->command == "plan") {
        problem.hint = format("its run may have been refused, or the plan discarded: GET /api/v1/runs/{}", id);
      }
    }
    return tl::unexpected(std::move(problem));
  }

  std::optional<std::string> run_that_applies(const std::string& id) const {
    for (const LiveRun& run : context_.runner.all_live()) {
      if (run.request.task == Task::apply && run.request.plan.filename() == PlanShelf::file_name_of(id)) return run.run_id;
    }
    return std::nullopt;
  }

  // What can still be done with it.
  void put_standing(Json& json, const std::string& id, const Plan& plan) {
    const auto run = run_that_applies(id);
    auto used_by = context_.state.plan_user(plan.digest());
    const bool used = used_by && *used_by;
    json["status"] = run ? "applying" : used ? "used" : context_.clock.now() > plan.expires() ? "expired" : "pending";
    json["used_by"] = used ? Json(**used_by) : run ? Json(*run) : Json(nullptr);
  }

  static void put_summary(Json& json, const Plan& plan) {
    json["digest"] = plan.digest();
    json["created_at"] = rfc3339(plan.created());
    json["expires_at"] = rfc3339(plan.expires());
    std::uint64_t bytes = 0;
    Json buckets = Json::array();
    for (const BucketPlan& bucket : plan.buckets()) {
      bytes += bucket.candidate_bytes;
      buckets.push_back(bucket.bucket);
    }
    json["candidates"] = plan.candidates();
    json["candidate_bytes"] = bytes;
    json["buckets"] = std::move(buckets);
  }

  const ApiContext& context_;
  PlanShelf shelf_;
  std::mutex approving_;  // a plan is approved once, and not discarded meanwhile
};

}  // namespace

void add_plan_routes(Router& router, const ApiContext& context) {
  const auto routes = std::make_shared<PlanRoutes>(context);
  const auto with = [&routes](ServerResponse (PlanRoutes::*handle)(const ApiCall&)) {
    return [routes, handle](const ApiCall& call) { return (routes.get()->*handle)(call); };
  };
  router.add({"POST", "/api/v1/plans", RunsOn::server, with(&PlanRoutes::create)});
  router.add({"GET", "/api/v1/plans", RunsOn::records, with(&PlanRoutes::list)});
  router.add({"GET", "/api/v1/plans/{id}", RunsOn::records, with(&PlanRoutes::show)});
  router.add({"DELETE", "/api/v1/plans/{id}", RunsOn::records, with(&PlanRoutes::discard)});
  router.add({"GET", "/api/v1/plans/{id}/candidates", RunsOn::records, with(&PlanRoutes::candidates)});
  router.add({"POST", "/api/v1/plans/{id}/approve", RunsOn::records, with(&PlanRoutes::approve_plan)});
}

}  // namespace heimdall
