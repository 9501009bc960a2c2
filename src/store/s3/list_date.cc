#include "store/s3/list_date.h"

#include <cstring>
#include <string>

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

// Two digits; above 99 for anything else.
unsigned two_digits(const char* text) {
  const unsigned tens = static_cast<unsigned char>(text[0]) - unsigned{'0'}, ones = static_cast<unsigned char>(text[1]) - unsigned{'0'};
  return tens > 9 || ones > 9 ? 100 : tens * 10 + ones;
}

}  // namespace

std::optional<Timestamp> ListDates::read(std::string_view text) {
  constexpr std::size_t kDaySize = 10, kTimeSize = 9;
  if (text.size() <= kDaySize + kTimeSize) return exact(text);
  const char* const time = text.data() + kDaySize;
  const unsigned hour = two_digits(time + 1), minute = two_digits(time + 4), second = two_digits(time + 7);
  if (time[0] != 'T' || time[3] != ':' || time[6] != ':' || hour > 23 || minute > 59 || second > 59 ||
      !is_fraction_of_utc(text.substr(kDaySize + kTimeSize))) {
    return exact(text);
  }
  if (std::memcmp(day_text_.data(), text.data(), kDaySize) != 0) {
    const auto day = parse_rfc3339(std::string(text.substr(0, kDaySize)).append("T00:00:00Z"));
    if (!day) return std::nullopt;
    day_ = *day;
    std::memcpy(day_text_.data(), text.data(), kDaySize);
  }
  return day_ + std::chrono::seconds((hour * 60 + minute) * 60 + second);
}

}  // namespace heimdall
