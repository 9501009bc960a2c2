#include "schedule/cron.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Field {
  std::string_view name;
  int low, high;
  std::span<const std::string_view> words;  // the first one means `low`
  std::string_view allowed;
};

constexpr Field kMinute = {"minute", 0, 59, {}, "0-59"};
constexpr Field kHour = {"hour", 0, 23, {}, "0-23"};
constexpr Field kDay = {"day of month", 1, 31, {}, "1-31"};
constexpr Field kMonth = {"month", 1, 12, kMonths, "1-12 or jan-dec"};
constexpr Field kWeekday = {"day of week", 0, 7, kWeekdays, "0-7 (0 and 7 are Sunday) or sun-sat"};

constexpr std::string_view kOrder = "minute, hour, day of month, month, day of week";

struct Nickname {
  std::string_view name, expression;
};
constexpr Nickname kNicknames[] = {{"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
                                   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}};

std::string shown(std::string_view text) { return elide_middle(printable(text), 60); }

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find_first_of(separators, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::vector<std::string_view> split_fields(std::string_view text) {
  std::vector<std::string_view> fields = split(text, " \t");
  std::erase_if(fields, [](std::string_view field) { return field.empty(); });
  return fields;
}

Error refuse(const Field& field, std::string problem) {
  return Error{ErrorCode::invalid_argument, format("the {} {}", field.name, std::move(problem)),
               format("allowed are {}, `*`, lists (1,3), ranges (1-5) and steps (*/2, 1-5/2)", field.allowed)};
}

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Whatever does not fit into an int is out of range all the same.
int to_int(std::string_view digits) {
  int value = 0;
  for (const char c : digits) value = std::min(value * 10 + (c - '0'), 100'000);
  return value;
}

Result<int> parse_value(const Field& field, std::string_view text) {
  if (is_number(text)) {
    const int value = to_int(text);
    if (value < field.low || value > field.high) return refuse(field, format("'{}' is out of range", shown(text)));
    return value;
  }
  const auto word = std::ranges::find(field.words, lower(text));
  if (word != field.words.end()) return field.low + static_cast<int>(word - field.words.begin());
  if (text.empty()) return refuse(field, "misses a value");
  const std::vector<std::string> known(field.words.begin(), field.words.end());
  const auto near = nearest(lower(text.substr(0, 3)), known);
  return refuse(field, format("'{}' is not a value{}", shown(text), near ? format("; did you mean '{}'?", *near) : std::string()));
}

struct Range {
  int first, last, step;
};

// "*", "5", "1-5", "*/2", "1-9/2".
Result<Range> parse_range(const Field& field, std::string_view item) {
  const std::size_t slash = item.find('/');
  const std::string_view body = item.substr(0, slash);
  Range range{field.low, field.high, 1};
  if (body != "*") {
    const std::size_t dash = body.find('-');
    TRY_ASSIGN(range.first, parse_value(field, body.substr(0, dash)));
    range.last = range.first;
    if (dash != std::string_view::npos) {
      TRY_ASSIGN(range.last, parse_value(field, body.substr(dash + 1)));
      // `fri-sun`: a week may be written to end with Sunday.
      if (field.high == 7 && range.last == 0 && range.first > 0) range.last = 7;
      if (range.last < range.first) {
        return refuse(field, format("'{}' runs backwards; write it as two ranges with a comma between", shown(body)));
      }
    } else if (slash != std::string_view::npos) {
      return refuse(field, format("'{}' has a step but no range; write '{}-{}/...' or '*/...'", shown(item), shown(body), field.high));
    }
  }
  if (slash != std::string_view::npos) {
    const std::string_view step = item.substr(slash + 1);
    if (!is_number(step)) return refuse(field, format("'{}' needs a number behind '/'", shown(item)));
    range.step = to_int(step);
    // `*/90` minutes would quietly mean once an hour.
    if (range.step < 1 || range.step > field.high) return refuse(field, format("'{}' has a step that is not from 1 to {}", shown(item), field.high));
  }
  return range;
}

template <std::size_t N>
Result<std::bitset<N>> parse_field(const Field& field, std::string_view text) {
  std::bitset<N> values;
  for (const std::string_view item : split(text, ",")) {
    if (item.empty()) return refuse(field, format("'{}' has a comma without a value", shown(text)));
    TRY_ASSIGN(const Range range, parse_range(field, item));
    // Sunday is 0 and 7.
    for (int value = range.first; value <= range.last; value += range.step) values.set(static_cast<std::size_t>(value) % N);
  }
  return values;
}

Error in_expression(Error error, std::string_view text) {
  error.message = format("cron '{}': {}", shown(text), error.message);
  return error;
}

Result<std::string_view> without_nickname(std::string_view text) {
  const auto found = std::ranges::find(kNicknames, lower(text), &Nickname::name);
  if (found != std::end(kNicknames)) return found->expression;
  std::vector<std::string> known;
  for (const Nickname& nickname : kNicknames) known.emplace_back(nickname.name);
  const auto near = nearest(lower(text.substr(0, 20)), known);
  return Error{ErrorCode::invalid_argument, format("'{}' is not known{}", shown(text), near ? format("; did you mean '{}'?", *near) : std::string()),
               format("allowed are {}, or five fields: {}", fmt::join(known, ", "), kOrder)};
}

}  // namespace

Result<CronExpression> CronExpression::parse(std::string_view text) {
  std::vector<std::string_view> fields = split_fields(text);
  if (fields.size() == 1 && fields[0].starts_with('@')) {
    const auto expression = without_nickname(fields[0]);
    if (!expression) return in_expression(expression.error(), text);
    fields = split_fields(*expression);
  }
  if (fields.size() != 5) {
    return Error{ErrorCode::invalid_argument, format("cron '{}': {}, not five", shown(text), count_of(fields.size(), "field")),
                 format("write {}, such as '0 3 * * *' for 3:00 each day{}", kOrder,
                        fields.size() > 5 ? "; there are no seconds and no years" : "")};
  }
  CronExpression cron;
  const auto read = [&](const Field& field, std::string_view from, auto& values) -> Result<void> {
    auto parsed = parse_field<std::remove_reference_t<decltype(values)>().size()>(field, from);
    if (!parsed) return in_expression(std::move(parsed).error(), text);
    values = *parsed;
    return {};
  };
  TRY(read(kMinute, fields[0], cron.minutes_));
  TRY(read(kHour, fields[1], cron.hours_));
  TRY(read(kDay, fields[2], cron.days_));
  TRY(read(kMonth, fields[3], cron.months_));
  TRY(read(kWeekday, fields[4], cron.weekdays_));
  cron.any_day_ = fields[2].starts_with('*');
  cron.any_weekday_ = fields[4].starts_with('*');
  return cron;
}

bool CronExpression::matches_date(int month, int day, int weekday) const {
  if (!matches_month(month)) return false;
  const bool day_fits = days_[static_cast<std::size_t>(day)];
  const bool weekday_fits = weekdays_[static_cast<std::size_t>(weekday)];
  return any_day_ || any_weekday_ ? day_fits && weekday_fits : day_fits || weekday_fits;
}

}  // namespace heimdall
