#include "daemon/api/event_stream.h"

#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/format.h"
#include "testing/fake_clock.h"

namespace heimdall {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing::FakeClock;

// All that a stream has to say now.
std::string all_of(EventStream& stream) {
  std::string text;
  for (;;) {
    const auto more = stream.take();
    if (!more) return text + "[end]";
    if (more->empty()) return text;
    text += *more;
  }
}

struct Kept {
  FakeClock clock;
  EventLog events{clock, 10};
  std::uint64_t add(const std::string& run, const std::string& type) {
    events.add(run, type, format(R"({{"type":"{}"}})", type));
    return events.last_id();
  }
};

TEST(EventStreamTest, writes_an_event_with_its_id_and_name) {
  EXPECT_EQ(sse_event("7", "progress", R"({"done":1})"), "id: 7\nevent: progress\ndata: {\"done\":1}\n\n");
}

TEST(EventStreamTest, gives_each_line_of_the_data_a_field_of_its_own) {
  EXPECT_EQ(sse_event("", "log", "a\nb\n"), "event: log\ndata: a\ndata: b\n\n");
}

TEST(EventStreamTest, says_at_once_that_it_is_there) {
  Kept log;
  EventStream stream(log.events, {});
  EXPECT_EQ(stream.take(), "retry: 3000\n\n");
  EXPECT_EQ(stream.take(), "");
}

TEST(EventStreamTest, ends_behind_the_summary_of_its_run) {
  Kept log;
  log.add("a", "status");
  log.add("b", "summary");
  const auto last = log.add("a", "summary");
  log.add("a", "log");
  EventStream stream(log.events, {.run_id = "a"});
  const std::string text = all_of(stream);
  EXPECT_THAT(text, HasSubstr("event: status\n"));
  EXPECT_THAT(text, HasSubstr(format("id: {}\nevent: summary\n", last)));
  EXPECT_THAT(text, Not(HasSubstr("event: log")));
  EXPECT_THAT(text, ::testing::EndsWith("[end]"));
}

TEST(EventStreamTest, of_all_runs_goes_on_behind_a_summary) {
  Kept log;
  log.add("a", "summary");
  log.add("b", "status");
  EventStream stream(log.events, {});
  EXPECT_THAT(all_of(stream), HasSubstr("event: status\n"));
  log.add("b", "summary");
  EXPECT_THAT(all_of(stream), HasSubstr("event: summary\n"));
}

TEST(EventStreamTest, goes_on_behind_the_event_the_client_has) {
  Kept log;
  log.add("a", "status");
  const auto seen = log.add("a", "progress");
  log.add("a", "guard");
  EventStream stream(log.events, {.run_id = "a", .after = seen, .resumed = true});
  const std::string text = all_of(stream);
  EXPECT_THAT(text, Not(HasSubstr("event: progress")));
  EXPECT_THAT(text, HasSubstr("event: guard"));
  EXPECT_THAT(text, Not(HasSubstr("event: gap")));
}

TEST(EventStreamTest, tells_a_client_that_fell_behind_that_events_are_missing) {
  Kept log;
  EventStream stream(log.events, {.run_id = "a"});
  log.add("a", "status");
  (void)all_of(stream);
  for (int i = 0; i < 30; ++i) log.add("a", "progress");
  EXPECT_THAT(all_of(stream), StartsWith("event: gap\n"));
}

TEST(EventStreamTest, takes_the_summary_from_the_history_if_the_log_has_nothing_more) {
  Kept log;
  EventStream stream(log.events, {.run_id = "a", .ended = [] { return std::optional<std::string>(R"({"type":"summary"})"); }});
  EXPECT_EQ(all_of(stream), "retry: 3000\n\nid: 9007199254740991\nevent: summary\ndata: {\"type\":\"summary\"}\n\n[end]");
}

TEST(EventStreamTest, does_not_wait_forever_for_an_id_that_was_never_given) {
  Kept log;
  log.add("a", "status");
  EventStream stream(log.events, {.run_id = "a", .after = ~std::uint64_t{0}, .resumed = true});
  EXPECT_THAT(all_of(stream), HasSubstr("event: status"));
}

TEST(EventStreamTest, is_woken_by_what_happens) {
  Kept log;
  std::atomic<int> woken{0};
  {
    EventStream stream(log.events, {});
    stream.on_wake([&] { ++woken; });
    log.add("a", "status");
    EXPECT_EQ(woken, 1);
  }
  log.add("a", "status");
  EXPECT_EQ(woken, 1);
}

}  // namespace
}  // namespace heimdall
