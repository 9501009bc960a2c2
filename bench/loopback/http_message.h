#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace heimdall::loopback {

struct Request {
  std::string method = {};
  std::string path = {};                                        // decoded
  std::vector<std::pair<std::string, std::string>> query = {};  // decoded
  std::string body = {};

  // Whether the query has the name, with or without a value.
  bool has(std::string_view name) const;
  // Empty if there is none.
  std::string_view value(std::string_view name) const;
};

// "/bucket/key?list-type=2&prefix=a%2Fb", taken apart.
void parse_target(std::string_view target, Request& request);

struct Answer {
  int status = 200;
  std::string headers = {};  // each with its "\r\n"; Content-Length, Date and Server are the server's
  std::string body = {};     // then `block`, then `tail`
  std::unique_ptr<char[]> block = {};
  std::size_t block_size = 0;
  std::string tail = {};
  bool is_head = false;               // no body is sent
  std::size_t stated_length = 0;      // of a HEAD
  std::chrono::microseconds delay{0};  // before it is sent
  std::shared_ptr<void> until_sent = {};  // let go when the answer is with the kernel
};

class Handler {
 public:
  virtual ~Handler() = default;
  // Called on any of the server's threads.
  virtual Answer answer(const Request& request) = 0;
};

}  // namespace heimdall::loopback
