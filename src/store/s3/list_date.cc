#include "store/s3/list_date.h"

#include "base/text.h"

namespace heimdall {

namespace {

std::optional<Timestamp> exact(std::string_view text) {
  const auto parsed = parse_rfc3339(text);
  if (!parsed) return std::nullopt;
  return std::chrono::floor<std::chrono::seconds>(*parsed);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "Z" or ".123Z".
bool is_fraction_of_utc(std::string_view text) {
  if (text == "Z") return true;
  if (text.size() < 3 || text.front() != '.' || text.back() != 'Z') return false;
  for (const char c : text.substr(1, text.size() - 2)) {
    if (!is_digit(c)) return false;
  }
  return true;
}

// Two digits; far above any for something else.
unsigned two_digits(const char* text) {
  const unsigned tens = static_cast<unsigned char>(text[0]) - unsigned{'0'}, ones = static_cast<unsigned char>(text[1]) - unsigned{'0'};
  return tens > 9 || ones > 9 ? 100'000 : tens * 10 + ones;
}

}  // namespace

std::optional<Timestamp> list_date(std::string_view text) {
  constexpr std::size_t kToTheSecond = 19;
  if (text.size() <= kToTheSecond || !is_fraction_of_utc(text.substr(kToTheSecond))) return exact(text);
  const char* const t = text.data();
  if (t[4] != '-' || t[7] != '-' || t[10] != 'T' || t[13] != ':' || t[16] != ':') return exact(text);
  const unsigned year = two_digits(t) * 100 + two_digits(t + 2), month = two_digits(t + 5), day = two_digits(t + 8);
  const unsigned hour = two_digits(t + 11), minute = two_digits(t + 14), second = two_digits(t + 17);
  // Within the years that every nanosecond of fits a Timestamp. Leap seconds are left to the exact reader.
  if (year < 1678 || year > 2261 || month > 12 || day > 31 || hour > 23 || minute > 59 || second > 59) return exact(text);
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok()) return std::nullopt;
  return Timestamp(std::chrono::sys_days(date)) + std::chrono::seconds((hour * 60 + minute) * 60 + second);
}

}  // namespace heimdall
