#include "model/near_form.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
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

// Whether `key` surely is its own near form, as most are: lower case, digits and single slashes.
bool is_near_form(std::string_view key) {
  static constexpr auto kMayChange = [] {
    std::array<bool, 256> may{};
    for (unsigned c = 0; c < 256; ++c) may[c] = c >= 0x80 || c <= ' ' || c == '%' || (c >= 'A' && c <= 'Z');
    return may;
  }();
  bool may_change = false;
  char last = '/';
  for (const char c : key) {
    may_change |= kMayChange[static_cast<unsigned char>(c)] || (c == '/' && last == '/');
    last = c;
  }
  return !may_change;
}

}  // namespace

void near_form(std::string_view key, std::string& out) {
  if (is_near_form(key)) {
    out.assign(key);
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
