#pragma once

#include <chrono>
#include <string_view>

namespace heimdall {

// Told of every request to a store, for figures. Thread-safe; calls are cheap and never fail.
class StoreTraffic {
 public:
  virtual ~StoreTraffic() = default;
  // `store` is the configured name, `operation` one of a fixed few: "list", "head", "delete", "put", "bucket" (what it is and how it is kept), "capacity".
  virtual void request_began(std::string_view store, std::string_view operation) = 0;
  // `status` is the HTTP status ("200", "503"), or, without a complete answer, "timeout", "unreachable", "in_doubt" (of a change) or "not_sent" (it came
  // too late to be sent). On a thread of the store's own.
  virtual void request_ended(std::string_view store, std::string_view operation, std::string_view status, std::chrono::nanoseconds took) = 0;
  // The request is sent once more.
  virtual void request_retried(std::string_view store, std::string_view operation) = 0;
};

}  // namespace heimdall
