#include "model/near_form.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "model/mapping_text.h"

namespace heimdall {

namespace {

// utf8proc sorts runs of combining marks by insertion, which is quadratic. No store takes keys anywhere near this long.
constexpr std::size_t kLongestFolded = 4096;
// Folding can complete a new escape ("%6" + U+FB01), and so on; real text is done after one round.
constexpr int kMostRounds = 64;

// Appends with the tail decoded and slashes collapsed. Escapes cannot overlap, so looking at the tail after each byte reaches
// the same end as decoding again and again, in one pass.
void append_decoded(std::string_view text, std::string& out) {
  for (char c : text) {
    out.push_back(c);
    while (out.size() >= 3 && out[out.size() - 3] == '%') {
      const int byte = hex_pair(out[out.size() - 2], out[out.size() - 1]);
      if (byte < 0) break;
      out.resize(out.size() - 2);
      out.back() = static_cast<char>(byte);
    }
    if (out.size() >= 2 && out.back() == '/' && out[out.size() - 2] == '/') out.pop_back();
  }
}

void trim(std::string& text) {
  while (!text.empty() && is_blank(text.back())) text.pop_back();
  const auto first = std::find_if(text.begin(), text.end(), [](char c) { return c != '/' && !is_blank(c); });
  text.erase(text.begin(), first);
}

void lower_ascii(std::string& text) {
  for (char& c : text) c = to_lower(c);
}

// NFC and full case folding. False, with `text` unchanged, where the bytes are not UTF-8.
bool fold_utf8(std::string& text) {
  utf8proc_uint8_t* folded = nullptr;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             static_cast<utf8proc_ssize_t>(text.size()), &folded, options);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(folded, &std::free);
  if (size < 0 || folded == nullptr) return false;
  text.assign(reinterpret_cast<const char*>(folded), static_cast<std::size_t>(size));
  return true;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// What of a key its near form changes.
enum class Change {
  nothing,  // for sure
  case_only,
  unknown,
};

// Sixteen bytes that are looked at together: SSE2, NEON, or whatever the compiler makes of it.
constexpr std::size_t kLane = 16;
using Lane [[gnu::vector_size(kLane)]] = unsigned char;

Lane load(const char* from) {
  Lane lane;
  std::memcpy(&lane, from, kLane);
  return lane;
}

bool any(const Lane& lane) {
  std::array<std::uint64_t, 2> halves;
  std::memcpy(halves.data(), &lane, kLane);
  return (halves[0] | halves[1]) != 0;
}

// Collects what makes a difference in bytes that have one byte before them.
struct Differences {
  Lane upper{};
  Lane other{};

  void add(const char* from) {
    const Lane bytes = load(from);
    const Lane before = load(from - 1);
    upper |= reinterpret_cast<Lane>(static_cast<Lane>(bytes - 'A') < 26);
    other |= reinterpret_cast<Lane>((bytes >= 0x80) | (bytes <= ' ') | (bytes == '%') | ((bytes == '/') & (before == '/')));
  }
};

Change change_of(std::string_view key) {
  std::array<char, kLane + 1> short_key;  // filled up with what makes no difference; the byte before a key counts as a slash
  short_key.fill('-');
  short_key[0] = '/';
  std::copy_n(key.data(), std::min(key.size(), kLane), short_key.data() + 1);
  Differences found;
  found.add(short_key.data() + 1);
  if (key.size() > kLane) {
    for (std::size_t at = kLane; at + kLane < key.size(); at += kLane) found.add(key.data() + at);
    found.add(key.data() + key.size() - kLane);
  }
  if (any(found.other)) return Change::unknown;
  return any(found.upper) ? Change::case_only : Change::nothing;
}

}  // namespace

bool is_near_form(std::string_view key) { return change_of(key) == Change::nothing; }

void near_form(std::string_view key, std::string& out) {
  const Change change = change_of(key);
  if (change != Change::unknown) {
    out.assign(key);
    if (change == Change::case_only) lower_ascii(out);
    return;
  }
  out.clear();
  append_decoded(key, out);
  trim(out);
  for (int round = 0; round < kMostRounds; ++round) {
    if (is_ascii(out) || out.size() > kLongestFolded) break;
    const std::string before = out;
    if (!fold_utf8(out)) break;
    const std::string folded = std::move(out);
    out.clear();
    append_decoded(folded, out);
    trim(out);
    if (out == before) return;
  }
  lower_ascii(out);
}

}  // namespace heimdall
