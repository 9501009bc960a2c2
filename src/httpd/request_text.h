#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace heimdall {

enum class PlusSign { literal, space };

// The bytes that `text` stands for. nullopt: a '%' without two hexadecimal digits behind it, or %00. The result may be any bytes, not only UTF-8.
std::optional<std::string> percent_decoded(std::string_view text, PlusSign plus);

// What stands between the method and the version of a request.
struct RequestTarget {
  std::string path;                          // decoded; begins with '/'
  std::map<std::string, std::string> query;  // decoded, '+' is a blank; the last one of a name wins
  std::optional<std::string> authority;      // of the form http://host:port/path; it must say the same as Host
};

// nullopt: neither the form /path?query nor http://host/path?query; a control character, blank, fragment or NUL in it; or an escape that is none.
std::optional<RequestTarget> parse_target(std::string_view target);

// Where to listen. `host` is a name or an address, without brackets.
struct ListenAddress {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const ListenAddress&) const = default;
};

// "127.0.0.1:8001", "[::1]:0", "localhost:8001". invalid_argument says what is missing.
Result<ListenAddress> parse_listen(std::string_view text);

}  // namespace heimdall
