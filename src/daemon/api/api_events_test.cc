#include "daemon/api/api.h"
#include "daemon/api/test_support.h"

namespace heimdall {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Answer;
using testing::ApiPlace;

// Reads a stream to its end.
std::string all_of(ServerStream& stream) {
  std::string text;
  for (;;) {
    std::optional<std::string> more;
    testing::wait_until([&] { return !(more = stream.take()) || !more->empty(); });
    if (!more) return text;
    text += *more;
  }
}

std::string last_id_of(const std::string& text) {
  const std::size_t at = text.rfind("id: ") + 4;
  return text.substr(at, text.find('\n', at) - at);
}

TEST(ApiEventsTest, follow_a_run_to_its_summary) {
  ApiPlace place;
  place.fill();
  place.close_gate();
  const std::string id = place.post("/api/v1/runs", R"({"task":"cleanup"})").json()["run_id"];
  const Answer answer = place.get("/api/v1/runs/" + id + "/events");
  ASSERT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.response.content_type, "text/event-stream");
  ASSERT_NE(answer.response.stream, nullptr);
  place.open_gate();
  const std::string text = all_of(*answer.response.stream);
  EXPECT_THAT(text, HasSubstr("event: status\n"));
  EXPECT_THAT(text, HasSubstr("event: progress\n"));
  EXPECT_THAT(text, HasSubstr("event: summary\n"));
  EXPECT_EQ(text.find("event: summary"), text.rfind("event: "));
}

TEST(ApiEventsTest, go_on_behind_the_last_one_that_came) {
  ApiPlace place;
  place.fill();
  const std::string id = place.run("/api/v1/runs", R"({"task":"stats"})");
  testing::wait_until([&] { return place.events->after(0, id).events.back().type == "summary"; });
  const std::string path = "/api/v1/events?run_id=" + id;
  const auto first = place.events->after(0, id).events.front().id;
  const std::string rest = all_of(*place.get(path + "&last_event_id=" + std::to_string(first)).response.stream);
  EXPECT_THAT(rest, Not(HasSubstr("id: " + std::to_string(first) + "\n")));
  EXPECT_THAT(rest, HasSubstr("event: summary\n"));
  const Answer by_header = place.ask("GET", path, "", {{"last-event-id", std::to_string(first)}});
  EXPECT_EQ(all_of(*by_header.response.stream), rest);
}

TEST(ApiEventsTest, tell_a_browser_that_has_all_of_them_to_ask_no_more) {
  ApiPlace place;
  place.fill();
  const std::string id = place.run("/api/v1/runs", R"({"task":"stats"})");
  const std::string path = "/api/v1/runs/" + id + "/events";
  testing::wait_until([&] { return place.events->after(0, id).events.back().type == "summary"; });
  const std::string text = all_of(*place.get(path).response.stream);
  EXPECT_EQ(place.ask("GET", path, "", {{"last-event-id", last_id_of(text)}}).status(), 204);
}

TEST(ApiEventsTest, of_a_run_long_ago_are_its_summary) {
  ApiPlace place;
  RunReport report;
  report.run_id = "20200101T000000Z-000000";
  report.command = "cleanup";
  report.status = RunStatus::success;
  report.started_at = place.clock.now() - std::chrono::hours(48);
  report.completed_at = report.started_at + std::chrono::seconds(3);
  ASSERT_TRUE(place.state->save_run(report).has_value());
  const std::string path = "/api/v1/runs/20200101T000000Z-000000/events";
  const std::string text = all_of(*place.get(path).response.stream);
  EXPECT_THAT(text, HasSubstr("event: summary\ndata: {\"type\":\"summary\",\"run_id\":\"20200101T000000Z-000000\""));
  EXPECT_THAT(text, EndsWith("\n\n"));
  EXPECT_EQ(place.ask("GET", path, "", {{"last-event-id", last_id_of(text)}}).status(), 204);
}

TEST(ApiEventsTest, of_all_runs_begin_now) {
  ApiPlace place;
  place.fill();
  const std::string before = place.run("/api/v1/runs", R"({"task":"stats"})");
  testing::wait_until([&] { return place.events->after(0, before).events.back().type == "summary"; });
  const Answer answer = place.get("/api/v1/events");
  ASSERT_NE(answer.response.stream, nullptr);
  EXPECT_EQ(answer.response.stream->take(), "retry: 3000\n\n");
  EXPECT_EQ(answer.response.stream->take(), "");
  const std::string id = place.run("/api/v1/runs", R"({"task":"stats"})");
  std::string text;
  testing::wait_until([&] {
    text += answer.response.stream->take().value_or("");
    return text.find("event: summary") != std::string::npos;
  });
  EXPECT_THAT(text, HasSubstr(id));
  EXPECT_THAT(text, Not(HasSubstr(before)));
}

TEST(ApiEventsTest, refuse_an_id_that_is_none) {
  ApiPlace place;
  const Answer answer = place.ask("GET", "/api/v1/events", "", {{"last-event-id", "abc"}});
  EXPECT_EQ(answer.status(), 400);
  EXPECT_EQ(answer.json()["field"], "last_event_id");
}

TEST(ApiEventsTest, do_not_stream_to_a_head) {
  ApiPlace place;
  const Answer answer = place.ask("HEAD", "/api/v1/events");
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.response.stream, nullptr);
}

TEST(ApiEventsTest, are_followed_by_so_many_clients_and_no_more) {
  ApiPlace place;
  std::vector<Answer> streams;
  for (int i = 0; i < 500; ++i) streams.push_back(place.get("/api/v1/events"));
  EXPECT_EQ(streams.back().status(), 200);
  EXPECT_EQ(place.get("/api/v1/events").status(), 503);
  streams.clear();
  EXPECT_EQ(place.get("/api/v1/events").status(), 200);
}

}  // namespace
}  // namespace heimdall
