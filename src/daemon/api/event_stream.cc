#include "daemon/api/event_stream.h"

#include <utility>

#include "base/format.h"

namespace heimdall {

namespace {

// One take() gives at most so many; the next one goes on.
constexpr std::size_t kMostAtOnce = 100;
constexpr std::string_view kSummary = "summary";

}  // namespace

std::string sse_event(std::string_view id, std::string_view type, std::string_view json) {
  std::string text;
  if (!id.empty()) text += format("id: {}\n", id);
  text += format("event: {}\n", type);
  // The JSON is one line; should it ever have more, each is a line of the event.
  for (;;) {
    const std::size_t end = json.find('\n');
    text += format("data: {}\n", json.substr(0, end));
    if (end == std::string_view::npos || end + 1 == json.size()) break;
    json.remove_prefix(end + 1);
  }
  return text + "\n";
}

EventStream::EventStream(EventLog& events, EventStreamRequest request) : events_(events), request_(std::move(request)) {}

void EventStream::on_wake(std::function<void()> wake) { subscription_ = events_.subscribe(std::move(wake)); }

std::string EventStream::ended_as(std::string_view id, std::string_view json) {
  ended_ = true;
  return sse_event(id, kSummary, json);
}

std::optional<std::string> EventStream::take() {
  if (ended_) return std::nullopt;
  std::string text;
  if (!std::exchange(greeted_, true)) {
    // Sent at once, so that the client sees that it is connected; and how soon to come back after a restart of the service.
    text += "retry: 3000\n\n";
  }
  EventLog::Batch batch = events_.after(request_.after, request_.run_id, kMostAtOnce);
  std::optional<std::string> ended;
  if (batch.events.empty() && request_.ended) ended = request_.ended();
  // A run that ended in between has its last events in the log by now.
  if (ended) batch = events_.after(request_.after, request_.run_id, kMostAtOnce);
  if (batch.lost_some && request_.resumed) {
    text += sse_event("", "gap", R"({"message":"events were lost: the client was away for too long, or too slow; ask for the run to see how it stands"})");
  }
  for (const RunEvent& event : batch.events) {
    const std::string id = format("{}", event.id);
    if (event.type == kSummary && !request_.run_id.empty()) return text + ended_as(id, event.json);
    text += sse_event(id, event.type, event.json);
  }
  request_.after = batch.next;
  request_.resumed = true;  // from now on it has an id
  if (batch.events.empty() && ended) text += ended_as(format("{}", kEndedId), *ended);
  return text;
}

}  // namespace heimdall
