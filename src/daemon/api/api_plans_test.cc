#include "daemon/api/api.h"
#include "daemon/api/test_support.h"

namespace heimdall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Answer;
using testing::ApiPlace;
using Json = nlohmann::json;

std::string approval(const Json& plan) { return Json({{"digest", plan["digest"]}}).dump(); }

TEST(ApiPlansTest, are_made_looked_at_and_carried_out) {
  ApiPlace place;
  place.fill();
  const Answer made = place.post("/api/v1/plans", R"({"buckets":["photos"]})");
  ASSERT_EQ(made.status(), 202) << made.text();
  const std::string id = made.json()["plan_id"];
  EXPECT_EQ(made.json()["run_id"], id);
  place.wait_for_end(id);

  const Json plan = place.get("/api/v1/plans/" + id).json();
  EXPECT_EQ(plan["plan_id"], id) << place.get("/api/v1/runs/" + id).text();
  EXPECT_EQ(plan["status"], "pending");
  EXPECT_EQ(plan["candidates"], 2);
  EXPECT_EQ(plan["buckets"]["photos"]["candidate_bytes"], 20);
  EXPECT_TRUE(place.has("old-1.jpg"));

  const Json candidates = place.get("/api/v1/plans/" + id + "/candidates").json();
  EXPECT_EQ(candidates["total"], 2);
  EXPECT_EQ(candidates["candidates"][0]["key"], "old-1.jpg");
  EXPECT_TRUE(candidates["next"].is_null());

  const Answer approved = place.post("/api/v1/plans/" + id + "/approve", approval(plan));
  ASSERT_EQ(approved.status(), 202) << approved.text();
  const std::string run = approved.json()["run_id"];
  place.wait_for_end(run);
  EXPECT_EQ(place.get("/api/v1/runs/" + run).json()["total_deleted"], 2);
  EXPECT_FALSE(place.has("old-1.jpg"));

  const Json used = place.get("/api/v1/plans/" + id).json();
  EXPECT_EQ(used["status"], "used");
  EXPECT_EQ(used["used_by"], run);
  const Answer again = place.post("/api/v1/plans/" + id + "/approve", approval(plan));
  EXPECT_EQ(again.status(), 409);
  EXPECT_EQ(again.json()["hint"], "make a new plan: POST /api/v1/plans");
}

TEST(ApiPlansTest, take_a_limit_of_the_oldest) {
  ApiPlace place;
  place.fill();
  const std::string id = place.run("/api/v1/plans", R"({"buckets":["photos"],"limit":1})");
  EXPECT_EQ(place.get("/api/v1/plans/" + id).json()["candidates"], 1);
}

TEST(ApiPlansTest, show_their_candidates_in_pages) {
  ApiPlace place;
  for (int i = 0; i < 5; ++i) place.put("old-" + std::to_string(i));
  for (int i = 0; i < 6; ++i) {
    place.put("live-" + std::to_string(i));
    place.refer("live-" + std::to_string(i));
  }
  const std::string id = place.run("/api/v1/plans", R"({"buckets":["photos"]})");
  std::vector<std::string> keys;
  std::string after;
  for (int page = 0; page < 10; ++page) {
    const Json json = place.get("/api/v1/plans/" + id + "/candidates?limit=2" + after).json();
    for (const Json& line : json["candidates"]) keys.push_back(line["key"]);
    if (json["next"].is_null()) break;
    after = "&after=" + json["next"].get<std::string>();
  }
  EXPECT_THAT(keys, ElementsAre("old-0", "old-1", "old-2", "old-3", "old-4"));
  const Json beyond = place.get("/api/v1/plans/" + id + "/candidates?limit=2&after=18446744073709551615").json();
  EXPECT_TRUE(beyond["candidates"].empty());
  EXPECT_TRUE(beyond["next"].is_null());
}

TEST(ApiPlansTest, are_not_approved_with_another_digest) {
  ApiPlace place;
  place.fill();
  const std::string id = place.run("/api/v1/plans", R"({"buckets":["photos"]})");
  const std::string path = "/api/v1/plans/" + id + "/approve";
  EXPECT_EQ(place.post(path, R"({"digest":")" + std::string(64, '0') + "\"}").status(), 409);
  EXPECT_EQ(place.post(path, "{}").status(), 422);
  EXPECT_EQ(place.post(path).json()["field"], "digest");
  EXPECT_TRUE(place.has("old-1.jpg"));
}

TEST(ApiPlansTest, of_buckets_that_only_report_are_not_approved) {
  ApiPlace place;
  place.fill();
  place.put_in("other", "y.jpg");
  const std::string id = place.run("/api/v1/plans", R"({"buckets":["other"]})");
  const Json plan = place.get("/api/v1/plans/" + id).json();
  ASSERT_EQ(plan["candidates"], 1);
  const Answer refused = place.post("/api/v1/plans/" + id + "/approve", approval(plan));
  EXPECT_EQ(refused.status(), 409);
  EXPECT_THAT(refused.json()["detail"], HasSubstr("mode: report"));
}

TEST(ApiPlansTest, are_approved_once_and_not_discarded_meanwhile) {
  ApiPlace place;
  place.fill();
  const std::string id = place.run("/api/v1/plans", R"({"buckets":["photos"]})");
  const Json plan = place.get("/api/v1/plans/" + id).json();
  place.close_gate();
  const std::string run = place.post("/api/v1/plans/" + id + "/approve", approval(plan)).json()["run_id"];
  EXPECT_EQ(place.get("/api/v1/plans/" + id).json()["status"], "applying");
  EXPECT_EQ(place.post("/api/v1/plans/" + id + "/approve", approval(plan)).status(), 409);
  EXPECT_EQ(place.remove("/api/v1/plans/" + id).status(), 409);
  place.open_gate();
  place.wait_for_end(run);
  EXPECT_EQ(place.remove("/api/v1/plans/" + id).status(), 204);
  EXPECT_EQ(place.get("/api/v1/plans/" + id).status(), 404);
}

TEST(ApiPlansTest, are_listed_newest_first_even_damaged_ones) {
  ApiPlace place;
  place.fill();
  const std::string first = place.run("/api/v1/plans", R"({"buckets":["photos"]})");
  // Ids of one second have no order: this one is older in any case.
  const std::string older = "20200101T000000Z-000000";
  std::ofstream(place.root() / "state" / "plans" / (older + ".plan")) << "no plan";
  std::ofstream(place.root() / "state" / "plans" / "readme.txt") << "hello";
  const Json list = place.get("/api/v1/plans").json();
  ASSERT_EQ(list["plans"].size(), 2U);
  EXPECT_EQ(list["plans"][0]["plan_id"], first);
  EXPECT_EQ(list["plans"][0]["candidates"], 2);
  EXPECT_EQ(list["plans"][1]["status"], "damaged");
  const Json page = place.get("/api/v1/plans?limit=1").json();
  EXPECT_EQ(page["next"], first);
  EXPECT_EQ(place.get("/api/v1/plans?before=" + first).json()["plans"][0]["plan_id"], older);
  EXPECT_EQ(place.get("/api/v1/plans/" + older).status(), 500);
  EXPECT_EQ(place.remove("/api/v1/plans/" + older).status(), 204);
}

TEST(ApiPlansTest, are_found_by_run_ids_only) {
  ApiPlace place;
  std::ofstream(place.root() / "secret.plan") << "secret";
  for (const char* id : {"..", "../../secret", "secret", "20261123T001416Z-7f3a9c"}) {
    for (const char* rest : {"", "/candidates"}) {
      EXPECT_EQ(place.get(std::string("/api/v1/plans/") + id + rest).status(), 404) << id << rest;
    }
    EXPECT_EQ(place.remove(std::string("/api/v1/plans/") + id).status(), 404) << id;
    EXPECT_EQ(place.post(std::string("/api/v1/plans/") + id + "/approve", R"({"digest":"x"})").status(), 404) << id;
  }
  EXPECT_TRUE(std::filesystem::exists(place.root() / "secret.plan"));
}

TEST(ApiPlansTest, name_the_field_that_is_wrong) {
  ApiPlace place;
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {R"({"buckets":["nobody"]})", "buckets"}, {R"({"limit":0})", "limit"},          {R"({"accept":["orphan_ratoi"]})", "accept"},
      {R"({"ignore_grace":1})", "ignore_grace"}, {R"({"ignoregrace":true})", "ignoregrace"}};
  for (const auto& [body, field] : wrong) {
    const Answer answer = place.post("/api/v1/plans", body);
    EXPECT_EQ(answer.status(), 422) << body;
    EXPECT_EQ(answer.json()["field"], field) << body;
  }
}

}  // namespace
}  // namespace heimdall
