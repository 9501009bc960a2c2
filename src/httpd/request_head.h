#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace heimdall {

// Why a request is not handed on. The connection is closed after it.
struct Refusal {
  int status = 400;
  std::string_view why;
};

// Name and value of each line, as they were sent.
using HeaderLines = std::vector<std::pair<std::string_view, std::string_view>>;

// The lines of a request's head, read from the place where libmicrohttpd has parsed it: there each CR, LF, the ':' behind a name, the blanks around the
// target and its '?' have been replaced by NUL, and nothing else has moved or changed. nullopt if it does not tile exactly: a line that ended in a bare LF or
// went on in the next one, a NUL that was sent, two blanks, a name that is no token. `head` is from the method to the empty line, inclusive;
// `target` as it was sent.
std::optional<HeaderLines> read_head(std::string_view head, std::string_view target);

// How a request's body is delimited, and its headers joined by name.
struct RequestHead {
  std::map<std::string, std::string> headers;  // names in lower case
  std::uint64_t content_length = 0;
  bool chunked = false;
};

enum class HttpVersion { http_1_0, http_1_1 };

// Refuses what two readers could understand differently: Content-Length with Transfer-Encoding, several lengths or one that is no number, a
// Transfer-Encoding other than "chunked", in HTTP/1.1 no or several Hosts, a Host unlike `authority`, control characters.
std::variant<RequestHead, Refusal> judge_head(const HeaderLines& lines, HttpVersion version, const std::optional<std::string>& authority);

}  // namespace heimdall
