#include "daemon/readiness.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

namespace heimdall {
namespace {

using namespace std::chrono_literals;
using Status = DependencyState::Status;

const Timestamp kNow{1795392856s};

DependencyState well(std::string kind, std::string name) { return {std::move(kind), std::move(name), Status::ok, "", kNow - 1500ms, kNow - 1500ms, 3ms}; }

TEST(ReadinessTest, is_ready_when_all_are_well) {
  const std::vector<DependencyState> states = {well("store", "minio"), well("database", "main")};
  const Readiness answer = readiness(states, {ConfigReload::Status::ok, kNow - 1h}, kNow);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body,
            R"({"status":"ready","dependencies":[)"
            R"({"kind":"store","name":"minio","status":"ok","message":"","checked_at":"2026-11-23T00:14:14Z","age_seconds":1.5,"last_ok_at":"2026-11-23T00:14:14Z"},)"
            R"({"kind":"database","name":"main","status":"ok","message":"","checked_at":"2026-11-23T00:14:14Z","age_seconds":1.5,"last_ok_at":"2026-11-23T00:14:14Z"}],)"
            R"("configuration":{"status":"ok","tried_at":"2026-11-22T23:14:16Z"}})");
}

TEST(ReadinessTest, names_those_that_are_not_well_and_why) {
  std::vector<DependencyState> states = {well("store", "minio"), well("database", "main"), {}};
  states[0].status = Status::failed;
  states[0].message = "connection refused";
  states[2].kind = "database";
  states[2].name = "new";
  const Readiness answer = readiness(states, {}, kNow);
  EXPECT_EQ(answer.status, 503);
  const auto body = nlohmann::json::parse(answer.body);
  EXPECT_EQ(body["status"], "degraded");
  EXPECT_EQ(body["failed"], nlohmann::json::array({"store minio", "database new"}));
  EXPECT_EQ(body["dependencies"][0]["message"], "connection refused");
  EXPECT_EQ(body["dependencies"][2]["status"], "unknown") << "not looked at yet";
  EXPECT_TRUE(body["dependencies"][2]["checked_at"].is_null());
  EXPECT_TRUE(body["dependencies"][2]["age_seconds"].is_null());
  EXPECT_TRUE(body["dependencies"][2]["last_ok_at"].is_null());
}

TEST(ReadinessTest, tells_of_a_configuration_that_could_not_be_reloaded_and_stays_ready) {
  const Readiness answer = readiness({}, {ConfigReload::Status::failed, kNow}, kNow);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(nlohmann::json::parse(answer.body)["configuration"]["status"], "failed");
}

TEST(ReadinessTest, an_age_is_never_negative) {
  const std::vector<DependencyState> states = {well("store", "minio")};
  EXPECT_EQ(nlohmann::json::parse(readiness(states, {}, kNow - 24h).body)["dependencies"][0]["age_seconds"], 0.0);
}

TEST(ReadinessTest, a_message_that_is_no_utf8_does_not_break_the_answer) {
  std::vector<DependencyState> states = {well("store", "minio")};
  states[0].status = Status::failed;
  states[0].message = "cannot open '\xFF'";
  EXPECT_TRUE(nlohmann::json::accept(readiness(states, {}, kNow).body));
}

}  // namespace
}  // namespace heimdall
