#include <atomic>
#include <chrono>
#include <memory>

#include "app/report_json.h"
#include "base/format.h"
#include "daemon/api/event_stream.h"
#include "daemon/api/fields.h"
#include "daemon/api/routes.h"

namespace heimdall {

namespace {

// Each costs a connection, and a look at the log with each event.
constexpr int kMostStreams = 500;
constexpr auto kLastEventsTake = std::chrono::seconds(2);

// Counts the streams that are open.
class Tickets {
 public:
  std::shared_ptr<void> take() {
    if (open_->fetch_add(1) >= kMostStreams) {
      open_->fetch_sub(1);
      return nullptr;
    }
    // The counter lives as long as the last stream.
    return {open_.get(), [open = open_](void*) { open->fetch_sub(1); }};
  }

 private:
  std::shared_ptr<std::atomic<int>> open_ = std::make_shared<std::atomic<int>>(0);
};

ServerResponse stream_response(const ApiContext& context, const ApiCall& call, EventStreamRequest request) {
  ServerResponse response;
  response.content_type = "text/event-stream";
  if (call.request.method == "HEAD") {
    response.body = std::make_shared<const std::string>();
  } else {
    response.headers.emplace_back("X-Accel-Buffering", "no");  // a proxy that collects would hold events back
    response.stream = std::make_shared<EventStream>(context.events, std::move(request));
  }
  return response;
}

// The summary of a run that neither waits nor runs; nullopt also where it cannot be told just now. Asked by threads of the server, which wait for nobody.
std::optional<std::string> ended_summary(const ApiContext& context, const std::string& run_id) {
  if (context.runner.live(run_id)) return std::nullopt;
  const auto saved = context.state.run_without_waiting(run_id);
  if (!saved || !*saved || (*saved)->status == RunStatus::running) return std::nullopt;
  // Its last events may just be on their way into the log.
  if (context.clock.now() < (*saved)->completed_at.value_or(Timestamp{}) + kLastEventsTake) return std::nullopt;
  return to_text(report_json("summary", **saved, summary_status((*saved)->status)));
}

// Whether the client has the run's last event already.
bool has_seen_the_end(const EventLog& events, const std::string& run_id, std::uint64_t last_seen) {
  if (last_seen == 0) return false;
  const auto batch = events.after(last_seen - 1, run_id, 1);
  return !batch.events.empty() && batch.events.front().id == last_seen && batch.events.front().type == "summary";
}

struct EventRoutes {
  const ApiContext& context;
  Tickets tickets;

  ServerResponse events(const ApiCall& call, std::string run_id, QueryFields& fields) {
    auto last = fields.text("last_event_id");
    const std::string_view header = call.request.header("last-event-id");
    if (!header.empty()) last = std::string(header);  // a browser that comes back: newer than the address
    std::uint64_t after = 0;
    if (last) {
      const ServerRequest as_query{"", "", {{"last_event_id", *last}}, {}, "", ""};
      QueryFields number(as_query);
      after = number.count("last_event_id").value_or(0);
      if (const auto problem = number.problem()) fields.refuse("last_event_id", problem->detail, "give the `id` of the last event that came");
    }
    if (const auto problem = fields.problem()) return response_of(*problem);
    const bool was_told_the_end = after == kEndedId;
    if (run_id.empty()) {
      if (!last || was_told_the_end) after = context.events.last_id();
    } else {
      if (!is_run_id(run_id)) return response_of(no_such_run(run_id));
      if (!context.runner.live(run_id)) {
        const auto saved = context.state.run(run_id);
        const bool known = (saved && *saved) || !context.events.after(0, run_id, 1).events.empty();
        if (!saved && !known) return response_of(problem_of(saved.error()));
        if (!known) return response_of(no_such_run(run_id));
        // This is what keeps a browser from asking again and again.
        if (was_told_the_end || has_seen_the_end(context.events, run_id, after)) return ServerResponse{.status = 204, .content_type = ""};
      }
    }
    EventStreamRequest request;
    request.after = after;
    request.resumed = last.has_value() && !was_told_the_end && after > 0;
    if (!run_id.empty()) request.ended = [this, run_id] { return ended_summary(context, run_id); };
    request.run_id = std::move(run_id);
    if (call.request.method != "HEAD") {
      request.ticket = tickets.take();
      if (request.ticket == nullptr) {
        Problem problem{503, format("{} clients follow events already", kMostStreams), "come back later, or ask for the run now and then"};
        problem.headers.emplace_back("Retry-After", "30");
        return response_of(problem);
      }
    }
    return stream_response(context, call, std::move(request));
  }
};

}  // namespace

void add_event_routes(Router& router, const ApiContext& context) {
  const auto routes = std::make_shared<EventRoutes>(EventRoutes{context, {}});
  router.add({"GET", "/api/v1/events", RunsOn::records, [routes](const ApiCall& call) {
                QueryFields fields(call.request);
                return routes->events(call, fields.text("run_id").value_or(""), fields);
              }});
  router.add({"GET", "/api/v1/runs/{id}/events", RunsOn::records, [routes](const ApiCall& call) {
                QueryFields fields(call.request);
                return routes->events(call, call.path.at("id"), fields);
              }});
}

}  // namespace heimdall
