#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace heimdall {

// Small pure helpers over bytes, shared by the mapping and its neighbours. None depends on the locale, none throws.

inline bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
inline char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

// The byte that two hexadecimal digits stand for, or -1.
int hex_pair(char high, char low);

bool equals_ignoring_case(std::string_view a, std::string_view b);
bool starts_with_ignoring_case(std::string_view text, std::string_view prefix);

enum class Plus { literal, blank };

// `text` with each valid percent escape decoded once, and '+' read as a blank if so asked. Invalid escapes stay as they are.
// nullopt if that changes nothing.
std::optional<std::string> percent_decoded(std::string_view text, Plus plus);
// `text` with every byte but unreserved ones and '/' escaped: safe as a path in any URL.
std::string percent_encoded(std::string_view text);

// The scheme (RFC 3986) of a text that starts with "scheme://"; empty if it does not.
std::string_view scheme_of(std::string_view text);
bool is_http(std::string_view scheme);
bool is_s3(std::string_view scheme);

std::string_view without_leading_slashes(std::string_view text);
// Without each "./" at the front, as `find .` writes it.
std::string_view without_leading_dots(std::string_view text);
// Without the ASCII blanks at both ends that a line-oriented tool or a sloppy hand leaves.
std::string_view trimmed(std::string_view text);

// A URL in its parts; views into the text.
struct UrlParts {
  std::string_view scheme;
  std::string_view host;  // without userinfo and port
  std::string_view port;  // the scheme's own where none is written; empty where there is no scheme either
  std::string_view tail;  // from the path's '/' to the end, query and fragment included
};
// `url` must start with http://, https:// or //.
UrlParts split_url(std::string_view url);
std::string_view default_port(std::string_view scheme);
// `tail` without query and fragment.
std::string_view path_of(std::string_view tail);

}  // namespace heimdall
