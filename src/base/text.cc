#include "base/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <numeric>

#include "base/format.h"

namespace heimdall {

using namespace std::chrono_literals;

std::string with_thousands(std::uint64_t n) {
  std::string digits = std::to_string(n);
  for (std::size_t i = digits.size(); i > 3;) {
    i -= 3;
    digits.insert(i, ",");
  }
  return digits;
}

std::string count_of(std::uint64_t n, std::string_view singular) {
  std::string text = with_thousands(n) + " ";
  if (n != 1 && singular.size() > 1 && singular.back() == 'y') {
    return text.append(singular.substr(0, singular.size() - 1)).append("ies");
  }
  return text.append(singular).append(n == 1 ? "" : "s");
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return format("{:.1f} {}", value, kUnits.at(unit));
}

std::string human_duration(std::chrono::nanoseconds d) {
  if (d < 0ns) return "-" + human_duration(-d);
  if (d < 1s) return format("{} ms", d / 1ms);
  if (d < 60s) return format("{:.1f} s", std::chrono::duration<double>(d).count());
  if (d < 1h) return format("{} min {:02} s", d / 1min, d % 1min / 1s);
  if (d < 48h) return format("{} h {:02} min", d / 1h, d % 1h / 1min);
  return format("{} d {:02} h", d / 24h, d % 24h / 1h);
}

namespace {

struct DurationUnit {
  std::string_view name;
  std::chrono::milliseconds length;
};
constexpr std::array<DurationUnit, 6> kDurationUnits = {
    {{"w", 168h}, {"d", 24h}, {"h", 1h}, {"m", 1min}, {"s", 1s}, {"ms", 1ms}}};

}  // namespace

std::string duration_text(std::chrono::milliseconds d) {
  if (d == 0ms) return "0s";
  for (const DurationUnit& unit : kDurationUnits) {
    if (unit.name != "w" && d % unit.length == 0ms) return format("{}{}", d / unit.length, unit.name);
  }
  return format("{}ms", d.count());
}

namespace {

// Reads exactly `digits` decimal digits from the front of `text`.
std::optional<int> take_digits(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

// The fraction after the decimal point, rounded down to nanoseconds; nullopt if there is no digit.
std::optional<std::chrono::nanoseconds> take_fraction(std::string_view& text) {
  std::int64_t value = 0;
  std::size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
    if (digits < 9) value = value * 10 + (text[digits] - '0');
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  for (; digits < 9; ++digits) value *= 10;
  return std::chrono::nanoseconds(value);
}

}  // namespace

std::optional<Timestamp> parse_rfc3339(std::string_view text) {
  const auto year = take_digits(text, 4);
  if (!year || !take(text, '-')) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take(text, '-')) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day || !(take(text, 'T') || take(text, 't') || take(text, ' '))) return std::nullopt;
  const auto hour = take_digits(text, 2);
  if (!hour || !take(text, ':')) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || !take(text, ':')) return std::nullopt;
  const auto second = take_digits(text, 2);
  if (!second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  std::chrono::nanoseconds fraction = 0ns;
  if (take(text, '.')) {
    const auto parsed = take_fraction(text);
    if (!parsed) return std::nullopt;
    fraction = *parsed;
  }
  std::chrono::minutes offset = 0min;
  if (!take(text, 'Z') && !take(text, 'z')) {
    const int sign = take(text, '+') ? 1 : take(text, '-') ? -1 : 0;
    const auto offset_hours = take_digits(text, 2);
    if (sign == 0 || !offset_hours || !take(text, ':')) return std::nullopt;
    const auto offset_minutes = take_digits(text, 2);
    if (!offset_minutes || *offset_hours > 23 || *offset_minutes > 59) return std::nullopt;
    offset = sign * (std::chrono::hours(*offset_hours) + std::chrono::minutes(*offset_minutes));
  }
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  // Nanoseconds since 1970 fit in 64 bits only between 1678 and 2262.
  if (!text.empty() || !date.ok() || *year < 1678 || *year > 2261) return std::nullopt;
  return Timestamp(std::chrono::sys_days(date)) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second) + fraction - offset;
}

std::string rfc3339(Timestamp t) {
  const auto day = std::chrono::floor<std::chrono::days>(t);
  const std::chrono::year_month_day date(day);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(t - day).count();
  return format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), seconds / 3600,
                seconds / 60 % 60, seconds % 60);
}

std::string rfc3339_exact(Timestamp t) {
  std::string text = rfc3339(t);
  const auto fraction = (t - std::chrono::floor<std::chrono::seconds>(t)).count();
  if (fraction != 0) {
    text.pop_back();
    text += format(".{:09}Z", fraction);
  }
  return text;
}

namespace {

struct NumberAndUnit {
  double number;
  std::string_view unit;
};

std::optional<NumberAndUnit> split_unit(std::string_view text) {
  const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  double number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + end, number);
  if (error != std::errc() || rest != text.data() + end) return std::nullopt;
  std::string_view unit = text.substr(end);
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  return NumberAndUnit{number, unit};
}

}  // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr double kLongest = 3.2e12;  // milliseconds, some 100 years: nanoseconds since 1970 stay in 64 bits
  if (const auto parts = split_unit(text)) {
    for (const DurationUnit& unit : kDurationUnits) {
      const double length = parts->number * static_cast<double>(unit.length.count());
      if (unit.name == parts->unit && length < kLongest) {
        return std::chrono::milliseconds(std::llround(length));
      }
    }
  }
  return Error{ErrorCode::invalid_argument, format("'{}' is not a duration", text),
               "write a number with a unit: 500ms, 10s, 15m, 72h, 30d or 2w"};
}

Result<std::uint64_t> parse_size(std::string_view text) {
  struct Unit {
    std::string_view name;
    double factor;
  };
  constexpr std::array<Unit, 9> kUnits = {{{"B", 1},
                                           {"KB", 1e3},
                                           {"MB", 1e6},
                                           {"GB", 1e9},
                                           {"TB", 1e12},
                                           {"KiB", 1024.0},
                                           {"MiB", 1048576.0},
                                           {"GiB", 1073741824.0},
                                           {"TiB", 1099511627776.0}}};
  if (const auto parts = split_unit(text)) {
    for (const Unit& unit : kUnits) {
      const double bytes = parts->number * unit.factor;
      if (unit.name == parts->unit && bytes < 9e18) return static_cast<std::uint64_t>(std::llround(bytes));
    }
  }
  return Error{ErrorCode::invalid_argument, format("'{}' is not a size", text),
               "write a number with a unit: 10GiB, 500MB, 64KiB or 1024B"};
}

std::size_t utf8_length(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  unsigned code = 0;
  if (lead >= 0xC2 && lead <= 0xDF) { length = 2; code = lead & 0x1FU; }
  else if (lead >= 0xE0 && lead <= 0xEF) { length = 3; code = lead & 0x0FU; }
  else if (lead >= 0xF0 && lead <= 0xF4) { length = 4; code = lead & 0x07U; }
  if (length == 0 || bytes.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xC0U) != 0x80U) return 0;
    code = (code << 6U) | (at(i) & 0x3FU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return overlong || surrogate || code > 0x10FFFF ? 0 : length;
}

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t length = utf8_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string to_hex(std::span<const unsigned char> bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4U];
    text += "0123456789abcdef"[byte & 15U];
  }
  return text;
}

namespace {
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

std::string to_base64(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    unsigned group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = (group << 8U) | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      text += j <= count ? kBase64[(group >> (18U - 6U * static_cast<unsigned>(j))) & 63U] : '=';
    }
  }
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    unsigned group = 0;
    std::size_t padding = 0;
    for (char c : text.substr(i, 4)) {
      const std::size_t value = kBase64.find(c);
      if (c == '=' && i + 4 == text.size()) ++padding;
      else if (value == std::string_view::npos || padding > 0) return std::nullopt;
      group = (group << 6U) | (c == '=' ? 0U : static_cast<unsigned>(value));
    }
    if (padding > 2) return std::nullopt;
    for (unsigned j = 0; j < 3 - padding; ++j) bytes += static_cast<char>((group >> (16U - 8U * j)) & 255U);
  }
  return bytes;
}

bool is_invisible_control(std::string_view c) {
  const auto is_in = [c](std::string_view first, std::string_view last) { return c >= first && c <= last; };
  if (c.size() == 2) return is_in("\xC2\x80", "\xC2\x9F") || c == "\xD8\x9C";  // C1; U+061C
  if (c.size() != 3) return false;
  return is_in("\xE2\x80\x8B", "\xE2\x80\x8F") || is_in("\xE2\x80\xA8", "\xE2\x80\xAE") ||  // U+200B-200F, U+2028-202E
         is_in("\xE2\x81\xA6", "\xE2\x81\xA9") || c == "\xEF\xBB\xBF";                      // U+2066-2069, U+FEFF
}

std::string printable(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const std::size_t length = std::max<std::size_t>(utf8_length(bytes), 1);
    const std::string_view c = bytes.substr(0, length);
    const auto byte = static_cast<unsigned char>(c.front());
    if (byte == '\\') {
      text += "\\\\";
    } else if ((length == 1 && (byte < 0x20 || byte >= 0x7F)) || is_invisible_control(c)) {
      for (const char b : c) text += format("\\x{:02x}", static_cast<unsigned char>(b));
    } else {
      text += c;
    }
    bytes.remove_prefix(length);
  }
  return text;
}

std::string elide_middle(std::string_view text, std::size_t width) {
  // Columns are counted as code points: good enough for a table, and never cuts inside a character.
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) starts.push_back(i);
  }
  if (starts.size() <= width || width < 8) return std::string(text);
  const std::size_t head = (width - 3) / 2;
  const std::size_t tail = width - 3 - head;
  return std::string(text.substr(0, starts[head])) + "..." + std::string(text.substr(starts[starts.size() - tail]));
}

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> known) {
  constexpr std::size_t kLongest = 200;  // the time grows with the product of both lengths, and a stranger may have given the word
  if (word.size() > kLongest) return std::nullopt;
  std::optional<std::string> best;
  std::size_t best_distance = 1 + std::max<std::size_t>(1, word.size() / 3);
  for (const std::string& candidate : known) {
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < word.size(); ++i) {
      std::size_t diagonal = row[0]++;
      for (std::size_t j = 0; j < candidate.size(); ++j) {
        const std::size_t substitution = diagonal + (word[i] == candidate[j] ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substitution});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace heimdall
