#pragma once

#include <microhttpd.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>

#include "httpd/http_server.h"

namespace heimdall {

// How far the stop of a server has come. Only ever rises.
enum class ServerPhase { serving, ending, closing };

// One request and its answer, from the request's first line to the last byte of the answer. Between the two it may sleep: its connection is then suspended, and
// libmicrohttpd neither reads from it, nor notices that the client has left, nor lets time pass for it.
//
// libmicrohttpd allows to resume only what is suspended, and only while the connection lives; so both happen under mutex_, which also guards connection_.
// Lock order: mutex_ before those of libmicrohttpd, none of which is held during a callback.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Exchange(MHD_Connection* connection, const std::atomic<ServerPhase>& phase) : connection_(connection), phase_(phase) {}

  // Any thread, any time. Only the first answer counts.
  void answer(ServerResponse response);
  // Lets a sleeping one look again; one that is about to sleep stays awake.
  void wake();
  // The client has left: a sleeping one is given up. One that is awake is about to find out.
  void leave_if_asleep();
  // Wakes a stream that has said nothing since `silent_since`.
  void beat(Time silent_since);

  // The rest is for the connection's own thread.
  // The answer, once. Without one the exchange has fallen asleep, or nobody waits for it any more and the connection is to be closed.
  struct Asleep {};
  struct Lost {};
  std::variant<ServerResponse, Asleep, Lost> wait_for_answer();
  void begin_stream(std::shared_ptr<ServerStream> stream);
  // The next part of the stream, as a MHD_ContentReaderCallback.
  ssize_t read_stream(char* buffer, std::size_t size);
  // The connection is no longer ours. Nothing is sent from here on.
  void over();

 private:
  bool fall_asleep();
  void wake_locked();

  std::mutex mutex_;
  MHD_Connection* connection_;  // nullptr: over
  bool sleeping_ = false;       // suspended, and not yet resumed
  bool woken_ = false;          // something happened since the last look
  bool answered_ = false;
  bool left_ = false;
  bool beat_due_ = false;
  Time said_at_{};
  std::optional<ServerResponse> answer_;
  std::shared_ptr<ServerStream> stream_;

  const std::atomic<ServerPhase>& phase_;  // the server's: touched by the connection's own thread only
  std::string unsent_;                     // of the stream
  std::size_t sent_ = 0;                   // of unsent_
};

}  // namespace heimdall
