#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/event_log.h"
#include "httpd/http_server.h"

namespace heimdall {

// One event as text/event-stream has it.
std::string sse_event(std::string_view id, std::string_view type, std::string_view json);

// The `id:` of a summary that came out of the history, where events have no numbers any more: no event ever has it, and it is exact in a double.
inline constexpr std::uint64_t kEndedId = 9'007'199'254'740'991;

struct EventStreamRequest {
  std::string run_id = {};      // empty: of all runs, without an end
  std::uint64_t after = 0;      // the id of the last event the client has; 0: from the oldest that is kept
  bool resumed = false;         // it had one: what is no longer kept is said to be missing
  // Asked when there is nothing to send, with a run: its summary if it ended and the log has no event that says so.
  std::function<std::optional<std::string>()> ended = {};
  std::shared_ptr<void> ticket = {};  // held for as long as the stream lives
};

// The events of the log as server-sent events. What a slow client leaves is not kept for it: the stream reads the log by id, and a client that fell behind
// what is kept gets an event `gap`.
class EventStream final : public ServerStream {
 public:
  EventStream(EventLog& events, EventStreamRequest request);
  std::optional<std::string> take() override;
  std::string heartbeat() override { return ": still here\n\n"; }
  void on_wake(std::function<void()> wake) override;

 private:
  std::string ended_as(std::string_view id, std::string_view json);

  EventLog& events_;
  EventStreamRequest request_;
  EventLog::Subscription subscription_;
  bool greeted_ = false;
  bool ended_ = false;
};

}  // namespace heimdall
