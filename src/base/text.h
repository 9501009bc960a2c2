#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace heimdall {

// "1,234,567".
std::string with_thousands(std::uint64_t n);
// "1,204 objects", "1 object".
std::string count_of(std::uint64_t n, std::string_view singular);
// Bytes for people, in IEC units: "244.0 GiB", "17 B".
std::string human_bytes(std::uint64_t bytes);
// "3m 04s", "1.2 s", "2 h 10 m": a length of time for people.
std::string human_duration(std::chrono::nanoseconds d);
// A length of time as the configuration writes it, in the largest unit that is exact: "30d", "72h", "500ms".
std::string duration_text(std::chrono::milliseconds d);

// "2026-11-23T00:14:16Z" or with fraction and offset; UTC. nullopt for anything else: an unparsed time is unknown, never zero.
std::optional<Timestamp> parse_rfc3339(std::string_view text);
// Whole seconds, "2026-11-23T00:14:16Z".
std::string rfc3339(Timestamp t);
// With nanoseconds where they are not zero.
std::string rfc3339_exact(Timestamp t);

// "30d 72h 15m 10s 500ms" style: one number and one of ms, s, m, h, d, w. invalid_argument says what is allowed.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
// "10GiB 500MB 1024B": a number and a unit, KB = 1000, KiB = 1024. A bare number is refused.
Result<std::uint64_t> parse_size(std::string_view text);

bool is_utf8(std::string_view bytes);
// The length of the UTF-8 sequence at the front of `bytes` (not empty), 0 if it is not one (overlong and surrogates included).
std::size_t utf8_length(std::string_view bytes);
// Whether this one character of two or more bytes drives a terminal or turns, hides or breaks the text around it.
bool is_invisible_control(std::string_view c);
std::string to_hex(std::span<const unsigned char> bytes);
std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);

// A key for people: UTF-8 as it is; control characters, those that turn the direction of text or cannot be seen, and other
// bytes as \xNN, so that a key can neither drive a terminal nor look like another one.
std::string printable(std::string_view bytes);
// The first and last part of `text` with "..." between, at most `width` characters wide.
std::string elide_middle(std::string_view text, std::size_t width);

// The element of `known` nearest to `word` by edit distance, if it is near enough to be a slip.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> known);

}  // namespace heimdall
