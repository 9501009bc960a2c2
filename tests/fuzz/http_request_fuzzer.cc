// Whatever a stranger sends as a request: what is taken is unambiguous, and nothing of it leads out of its own bytes.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

#include "httpd/request_head.h"
#include "httpd/request_text.h"

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

// What libmicrohttpd makes of a head where it stands; see read_head().
std::string as_parsed(std::string_view head) {
  std::string parsed(head);
  bool in_name = false;  // the first line has no name
  for (std::size_t i = 0; i < parsed.size(); ++i) {
    const char c = parsed[i];
    if (c == '\n') in_name = true;
    if (c == '\r' || c == '\n' || (c == ':' && in_name)) parsed[i] = '\0';
    if (c == ':') in_name = false;
  }
  return parsed;
}

bool is_within(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

void check_head(std::string_view head, std::string_view target) {
  const auto lines = heimdall::read_head(head, target);
  if (!lines) return;
  for (const auto& [name, value] : *lines) {
    check(!name.empty() && is_within(name, head) && is_within(value, head));
    check(name.find_first_of(std::string_view(":\0\r\n ", 5)) == std::string_view::npos);
  }
  for (const auto version : {heimdall::HttpVersion::http_1_0, heimdall::HttpVersion::http_1_1}) {
    const auto judged = heimdall::judge_head(*lines, version, std::nullopt);
    if (const auto* const taken = std::get_if<heimdall::RequestHead>(&judged)) {
      check(!taken->chunked || (taken->content_length == 0 && !taken->headers.contains("content-length")));
      check(version == heimdall::HttpVersion::http_1_0 || taken->headers.contains("host"));
      for (const auto& [name, value] : taken->headers) check(value.find_first_of(std::string_view("\0\r\n", 3)) == std::string::npos);
    } else {
      check(std::get<heimdall::Refusal>(judged).status >= 400);
    }
  }
}

void check_target(std::string_view text) {
  const auto target = heimdall::parse_target(text);
  if (!target) return;
  check(target->path.starts_with('/') && target->path.find('\0') == std::string::npos);
  for (const auto& [name, value] : target->query) check(name.find('\0') == std::string::npos && value.find('\0') == std::string::npos);
}

}  // namespace

// The target, a line end, and the head.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view target = input.substr(0, input.find('\n'));
  const std::string_view head = input.substr(std::min(size, target.size() + 1));
  check_target(target);
  check_head(head, target);
  check_head(as_parsed(head), target);
  for (const auto plus : {heimdall::PlusSign::literal, heimdall::PlusSign::space}) {
    const auto decoded = heimdall::percent_decoded(target, plus);
    check(!decoded || (decoded->size() <= target.size() && (decoded->find('\0') == std::string::npos) == (target.find('\0') == std::string_view::npos)));
  }
  static_cast<void>(heimdall::parse_listen(target));
  return 0;
}
