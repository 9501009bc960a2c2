#include "daemon/api/api.h"

#include "daemon/api/test_support.h"

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using testing::Answer;
using testing::ApiPlace;
using Json = nlohmann::json;

std::vector<std::string> ids_of(const Answer& answer, const std::string& list) {
  std::vector<std::string> ids;
  const Json json = answer.json();
  for (const Json& one : json[list]) ids.push_back(one["run_id"]);
  return ids;
}

void expect_problem(const Answer& answer, int status, const std::string& field = "") {
  EXPECT_EQ(answer.status(), status) << answer.text();
  EXPECT_EQ(answer.response.content_type, "application/problem+json");
  const Json json = answer.json();
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["status"], status);
  for (const char* name : {"type", "title", "detail", "hint"}) EXPECT_TRUE(json[name].is_string()) << name;
  EXPECT_EQ(json.value("field", ""), field) << answer.text();
}

// The service itself

TEST(ApiTest, says_that_it_is_alive_and_whether_it_is_ready) {
  ApiPlace place;
  EXPECT_EQ(place.get("/livez").status(), 200);
  const Answer ready = place.get("/readyz");
  EXPECT_EQ(ready.status(), 200);
  EXPECT_EQ(ready.json()["status"], "ready");
}

TEST(ApiTest, has_a_page_without_scripts_that_says_what_there_is) {
  ApiPlace place;
  const Answer page = place.get("/");
  EXPECT_EQ(page.status(), 200);
  EXPECT_THAT(page.response.content_type, ::testing::StartsWith("text/html"));
  EXPECT_THAT(page.text(), HasSubstr("/metrics/storage"));
  EXPECT_THAT(page.text(), ::testing::Not(HasSubstr("<script")));
  EXPECT_THAT(page.header("Content-Security-Policy"), HasSubstr("default-src 'none'"));
}

TEST(ApiTest, has_metrics_in_the_text_format) {
  ApiPlace place;
  const Answer metrics = place.get("/metrics");
  EXPECT_THAT(metrics.response.content_type, ::testing::StartsWith("text/plain; version=0.0.4"));
  EXPECT_THAT(metrics.text(), HasSubstr("heimdall_storage_orphan_files{bucket=\"photos\"} 0"));
}

TEST(ApiTest, counts_requests_by_their_pattern) {
  ApiPlace place;
  (void)place.get("/api/v1/runs/20261123T001416Z-7f3a9c");
  (void)place.get("/no/such/place");
  const std::string text = place.get("/metrics").text();
  EXPECT_THAT(text, HasSubstr("/api/v1/runs/{id}"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("7f3a9c")));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("/no/such/place")));
}

TEST(ApiTest, makes_the_health_of_storage_anew_only_when_something_changed) {
  ApiPlace place;
  const auto within_a_second = [&] {
    for (int i = 0; i < 50; ++i) {
      if (place.get("/metrics/storage").response.body == place.get("/metrics/storage").response.body) return true;
    }
    return false;
  };
  EXPECT_TRUE(within_a_second());
  EXPECT_EQ(place.get("/metrics/storage").json()["total_orphans"], 0);
  place.fill();
  place.run("/api/v1/runs", R"({"task":"stats"})");
  EXPECT_EQ(place.get("/metrics/storage").json()["total_orphans"], 2);
  EXPECT_EQ(place.get("/metrics/storage").json()["status"], "critical");
}

TEST(ApiTest, answers_what_it_does_not_know_with_a_problem) {
  ApiPlace place;
  expect_problem(place.get("/nowhere"), 404);
  expect_problem(place.get("/api/v1/runs/"), 404);
  const Answer wrong = place.ask("PUT", "/api/v1/runs");
  expect_problem(wrong, 405);
  EXPECT_EQ(wrong.header("Allow"), "POST, GET, HEAD");
  expect_problem(place.ask("OPTIONS", "/livez"), 405);
  EXPECT_EQ(place.ask("HEAD", "/livez").status(), 200);
}

TEST(ApiTest, never_allows_pages_of_other_origins) {
  ApiPlace place;
  const Answer answer = place.ask("GET", "/api/v1/buckets", "", {{"origin", "https://evil.example"}});
  EXPECT_EQ(answer.header("Access-Control-Allow-Origin"), "");
}

TEST(ApiTest, behind_a_loopback_address_takes_only_the_names_of_this_machine) {
  ApiPlace place;
  expect_problem(place.ask("GET", "/metrics", "", {{"host", "evil.example"}}), 421);
  place.loopback = false;
  EXPECT_EQ(place.ask("GET", "/metrics", "", {{"host", "storage.example"}}).status(), 200);
}

TEST(ApiTest, changes_nothing_without_the_token) {
  ApiPlace place;
  const std::vector<std::pair<std::string, std::string>> changes = {
      {"POST", "/api/v1/runs"},   {"POST", "/api/v1/plans"},   {"DELETE", "/api/v1/runs/x"}, {"POST", "/api/v1/runs/x/cancel"},
      {"DELETE", "/api/v1/plans/x"}, {"POST", "/api/v1/plans/x/approve"}};
  for (const auto& [method, path] : changes) {
    const Answer without = place.ask(method, path, R"({"task":"stats"})", {{"content-type", "application/json"}});
    expect_problem(without, 401);
    EXPECT_THAT(without.header("WWW-Authenticate"), HasSubstr("Bearer"));
  }
  place.token = std::nullopt;
  for (const auto& [method, path] : changes) {
    expect_problem(place.ask(method, path, R"({"task":"stats"})", ApiPlace::with_token()), 403);
  }
  EXPECT_THAT(place.runner->all_live(), IsEmpty());
}

// Runs

TEST(ApiRunsTest, start_and_end_with_a_summary) {
  ApiPlace place;
  place.fill();
  const Answer started = place.post("/api/v1/runs", R"({"task":"cleanup","buckets":["photos"]})");
  ASSERT_EQ(started.status(), 202) << started.text();
  const std::string id = started.json()["run_id"];
  EXPECT_EQ(started.json()["status"], "queued");
  EXPECT_EQ(started.header("Location"), "/api/v1/runs/" + id);
  place.wait_for_end(id);
  const Json summary = place.get("/api/v1/runs/" + id).json();
  EXPECT_EQ(summary["type"], "summary");
  EXPECT_EQ(summary["status"], "success") << summary;
  EXPECT_EQ(summary["command"], "cleanup");
  EXPECT_EQ(summary["total_deleted"], 2);
  EXPECT_EQ(summary["buckets"]["photos"]["total_objects"], 4);
  EXPECT_FALSE(summary.contains("progress"));
  EXPECT_FALSE(place.has("old-1.jpg"));
  EXPECT_TRUE(place.has("a.jpg"));
}

TEST(ApiRunsTest, delete_nothing_when_dry) {
  ApiPlace place;
  place.fill();
  const std::string id = place.run("/api/v1/runs", R"({"task":"cleanup","dry_run":true})");
  const Json summary = place.get("/api/v1/runs/" + id).json();
  EXPECT_EQ(summary["dry_run"], true);
  EXPECT_EQ(summary["buckets"]["photos"]["due_objects"], 2);
  EXPECT_TRUE(place.has("old-1.jpg"));
}

TEST(ApiRunsTest, tell_how_far_they_are) {
  ApiPlace place;
  place.fill();
  place.close_gate();
  const std::string first = place.post("/api/v1/runs", R"({"task":"stats"})").json()["run_id"];
  const std::string second = place.post("/api/v1/runs", R"({"task":"stats"})").json()["run_id"];
  testing::wait_until([&] { return place.get("/api/v1/runs/" + first).json()["progress"]["done"] == 3; });
  const Json running = place.get("/api/v1/runs/" + first).json();
  EXPECT_EQ(running["status"], "running");
  EXPECT_EQ(running["progress"], Json({{"phase", "listing"}, {"bucket", "photos"}, {"done", 3}, {"expected", 7}}));
  EXPECT_TRUE(running["completed_at"].is_null());
  EXPECT_EQ(running["total_deleted"], 0);
  const Deletion deletion{"photos", {}, Outcome::deleted, ""};
  place.runner->note_deletions(first, std::span(&deletion, 1));
  for (const Json& line : {place.get("/api/v1/runs/" + first).json(), place.get("/api/v1/runs?status=running").json()["runs"][0]}) {
    EXPECT_EQ(line["total_deleted"], 1) << line;
    EXPECT_EQ(line["buckets"]["photos"]["orphans_deleted"], 1) << line;
  }
  const Json queued = place.get("/api/v1/runs/" + second).json();
  EXPECT_EQ(queued["status"], "running");
  EXPECT_EQ(queued["waiting"], true);
  EXPECT_TRUE(queued["started_at"].is_null());
  EXPECT_THAT(ids_of(place.get("/api/v1/runs"), "runs"), ElementsAre(second, first));
  EXPECT_THAT(ids_of(place.get("/api/v1/runs?status=queued"), "runs"), ElementsAre(second));
  place.open_gate();
  place.wait_for_end(second);
  EXPECT_EQ(place.get("/api/v1/runs/" + second).json()["status"], "success");
}

TEST(ApiRunsTest, name_the_field_that_is_wrong) {
  ApiPlace place;
  const std::vector<std::tuple<std::string, int, std::string>> wrong = {
      {"", 422, "task"},
      {"{}", 422, "task"},
      {"nonsense", 400, ""},
      {R"({"task":"apply"})", 422, "task"},
      {R"({"task":7})", 422, "task"},
      {R"({"task":"cleanup","dry_run":"yes"})", 422, "dry_run"},
      {R"({"task":"cleanup","dryrun":true})", 422, "dryrun"},
      {R"({"task":"cleanup","buckets":[]})", 422, "buckets"},
      {R"({"task":"cleanup","buckets":["photo"]})", 422, "buckets"},
      {R"({"task":"cleanup","buckets":"photos"})", 422, "buckets"},
  };
  for (const auto& [body, status, field] : wrong) expect_problem(place.post("/api/v1/runs", body), status, field);
  EXPECT_THAT(place.runner->all_live(), IsEmpty());
  EXPECT_THAT(place.post("/api/v1/runs", R"({"task":"stats","buckets":["photo"]})").json()["hint"], HasSubstr("photos"));
}

TEST(ApiRunsTest, that_are_unknown_are_not_found) {
  ApiPlace place;
  for (const char* id : {"20261123T001416Z-7f3a9c", "..", "x"}) {
    expect_problem(place.get(std::string("/api/v1/runs/") + id), 404);
    expect_problem(place.get(std::string("/api/v1/runs/") + id + "/deletions"), 404);
    expect_problem(place.get(std::string("/api/v1/runs/") + id + "/events"), 404);
    expect_problem(place.post(std::string("/api/v1/runs/") + id + "/cancel"), 404);
    expect_problem(place.remove(std::string("/api/v1/runs/") + id), 404);
  }
}

TEST(ApiRunsTest, can_be_cancelled_until_they_end) {
  ApiPlace place;
  place.fill();
  place.close_gate();
  const std::string first = place.post("/api/v1/runs", R"({"task":"cleanup"})").json()["run_id"];
  const std::string second = place.post("/api/v1/runs", R"({"task":"cleanup"})").json()["run_id"];
  testing::wait_until([&] { return place.runner->live(first)->started; });
  EXPECT_EQ(place.remove("/api/v1/runs/" + second).status(), 202);
  const Answer cancelled = place.post("/api/v1/runs/" + first + "/cancel");
  EXPECT_EQ(cancelled.status(), 202);
  EXPECT_EQ(cancelled.json()["status"], "cancelling");
  place.wait_for_end(first);
  place.wait_for_end(second);
  expect_problem(place.post("/api/v1/runs/" + first + "/cancel"), 409);
  expect_problem(place.remove("/api/v1/runs/" + second), 409);
  EXPECT_TRUE(place.has("old-1.jpg"));
}

TEST(ApiRunsTest, are_listed_in_pages) {
  ApiPlace place;
  place.fill();
  std::vector<std::string> made;
  for (int i = 0; i < 3; ++i) {
    made.push_back(place.run("/api/v1/runs", R"({"task":"stats"})"));
  }
  const Answer first = place.get("/api/v1/runs?limit=2");
  EXPECT_EQ(ids_of(first, "runs").size(), 2U);
  ASSERT_TRUE(first.json()["next"].is_string());
  const Answer second = place.get("/api/v1/runs?limit=2&before=" + first.json()["next"].get<std::string>());
  EXPECT_TRUE(second.json()["next"].is_null());
  std::vector<std::string> all = ids_of(first, "runs");
  for (const std::string& id : ids_of(second, "runs")) all.push_back(id);
  EXPECT_THAT(all, ::testing::UnorderedElementsAreArray(made));
}

TEST(ApiRunsTest, are_found_by_command_status_and_bucket) {
  ApiPlace place;
  place.fill();
  const std::string stats = place.run("/api/v1/runs", R"({"task":"stats","buckets":["photos"]})");
  const std::string cleanup = place.run("/api/v1/runs", R"({"task":"cleanup","dry_run":true})");
  EXPECT_THAT(ids_of(place.get("/api/v1/runs?command=stats"), "runs"), ElementsAre(stats));
  EXPECT_THAT(ids_of(place.get("/api/v1/runs?bucket=other"), "runs"), ElementsAre(cleanup));
  EXPECT_THAT(ids_of(place.get("/api/v1/runs?status=success"), "runs"), UnorderedElementsAre(stats, cleanup));
  EXPECT_THAT(ids_of(place.get("/api/v1/runs?status=failed"), "runs"), IsEmpty());
  expect_problem(place.get("/api/v1/runs?status=broken"), 400, "status");
  expect_problem(place.get("/api/v1/runs?limit=0"), 400, "limit");
  expect_problem(place.get("/api/v1/runs?limits=1"), 400, "limits");
  expect_problem(place.get("/api/v1/runs?before=..%2F"), 400, "before");
}

TEST(ApiRunsTest, show_what_became_of_each_object_in_pages) {
  ApiPlace place;
  for (int i = 0; i < 5; ++i) place.put("old-" + std::to_string(i));
  for (int i = 0; i < 6; ++i) {
    place.put("live-" + std::to_string(i));
    place.refer("live-" + std::to_string(i));
  }
  const std::string id = place.run("/api/v1/runs", R"({"task":"cleanup","buckets":["photos"]})");
  std::vector<std::string> keys;
  std::string after;
  for (int page = 0; page < 10; ++page) {
    const Json json = place.get("/api/v1/runs/" + id + "/deletions?limit=2" + after).json();
    EXPECT_LE(json["deletions"].size(), 2U);
    for (const Json& line : json["deletions"]) {
      EXPECT_EQ(line["outcome"], "deleted");
      keys.push_back(line["key"]);
    }
    if (json["next"].is_null()) break;
    after = "&after=" + json["next"].get<std::string>();
  }
  EXPECT_THAT(keys, UnorderedElementsAre("old-0", "old-1", "old-2", "old-3", "old-4"));
}

// Buckets, schedules, questions

TEST(ApiBucketsTest, show_their_last_figures) {
  ApiPlace place;
  EXPECT_TRUE(place.get("/api/v1/buckets/photos").json()["measured_at"].is_null());
  place.fill();
  place.run("/api/v1/runs", R"({"task":"stats"})");
  const Json photos = place.get("/api/v1/buckets/photos").json();
  EXPECT_EQ(photos["figures"]["total_objects"], 4);
  EXPECT_EQ(photos["health"], "critical");
  EXPECT_EQ(photos["orphan_percentage"], 50.0);
  EXPECT_EQ(photos["mode"], "delete");
  EXPECT_TRUE(photos["measured_at"].is_string());
  const Json all = place.get("/api/v1/buckets").json();
  ASSERT_EQ(all["buckets"].size(), 2U);
  EXPECT_EQ(all["buckets"][1]["description"], "Only looked at");
  expect_problem(place.get("/api/v1/buckets/nobody"), 404);
}

TEST(ApiBucketsTest, have_a_history) {
  ApiPlace place;
  place.fill();
  place.run("/api/v1/runs", R"({"task":"stats"})");
  const Json history = place.get("/api/v1/buckets/photos/history?days=7").json();
  EXPECT_EQ(history["bucket"], "photos");
  ASSERT_EQ(history["points"].size(), 1U) << history;
  EXPECT_EQ(history["points"][0]["total_objects"], 4);
  expect_problem(place.get("/api/v1/buckets/nobody/history"), 404);
  expect_problem(place.get("/api/v1/buckets/photos/history?days=0"), 400, "days");
}

TEST(ApiSchedulesTest, show_their_next_runs) {
  ApiPlace place("schedules:\n  - {name: nightly, task: cleanup, cron: \"0 3 * * *\", time_zone: UTC, buckets: [photos]}\n");
  testing::wait_until([&] { return place.get("/api/v1/schedules").json()["schedules"].size() == 1; });
  const Json schedules = place.get("/api/v1/schedules?count=3").json();
  const Json& nightly = schedules["schedules"][0];
  EXPECT_EQ(nightly["name"], "nightly");
  EXPECT_EQ(nightly["task"], "cleanup");
  EXPECT_EQ(nightly["buckets"], Json::array({"photos"}));
  ASSERT_EQ(nightly["next_runs"].size(), 3U);
  for (const Json& next : nightly["next_runs"]) EXPECT_THAT(next.get<std::string>(), HasSubstr("T03:00:00Z"));
  expect_problem(place.get("/api/v1/schedules?count=1000"), 400, "count");
}

TEST(ApiExplainTest, tells_what_decides_about_an_object) {
  ApiPlace place;
  place.fill();
  EXPECT_EQ(place.get("/api/v1/explain?object=s3://photos/a.jpg").json()["verdict"], "referenced");
  const Answer due = place.get("/api/v1/explain?object=s3://photos/old-1.jpg");
  EXPECT_EQ(due.status(), 200) << due.text();
  EXPECT_EQ(due.json()["key"], "old-1.jpg");
  EXPECT_FALSE(due.json()["reasons"].empty());
  EXPECT_EQ(place.get("/api/v1/explain?object=s3://photos/none").json()["verdict"], "absent");
  expect_problem(place.get("/api/v1/explain"), 400, "object");
  expect_problem(place.get("/api/v1/explain?object=photos/a.jpg"), 400, "object");
  expect_problem(place.get("/api/v1/explain?object=s3://nobody/a.jpg"), 422, "object");
}

TEST(ApiDoctorTest, tells_what_it_found) {
  ApiPlace place;
  place.fill();
  const Answer answer = place.get("/api/v1/doctor?bucket=photos");
  EXPECT_EQ(answer.status(), 200) << answer.text();
  EXPECT_FALSE(answer.json()["checks"].empty());
  EXPECT_THAT(answer.json()["status"].get<std::string>(), ::testing::AnyOf("ok", "warning", "failed"));
  expect_problem(place.get("/api/v1/doctor?bucket=nobody"), 400, "bucket");
}

}  // namespace
}  // namespace heimdall
