#include "schedule/timing.h"

#include "base/format.h"
#include "base/text.h"

namespace heimdall {
namespace {

using std::chrono::minutes;
using std::chrono::sys_days;

constexpr std::chrono::seconds kShortest{1};
constexpr std::chrono::hours kLongest{24 * 366};
// The calendar repeats itself after 400 years: what is not due in them never is.
constexpr int kCalendarYears = 400;
// Where a Timestamp ends, with room for any zone.
constexpr int kLastYear = 2261;

// Walks through the minutes that a wall clock would show if it were never set.
class Calendar {
 public:
  explicit Calendar(const CronExpression& cron) : cron_(cron) {}

  // The first minute from `from` on that matches; nullopt if there is none up to the end of `last_year`.
  std::optional<std::chrono::sys_time<minutes>> first_from(std::chrono::sys_time<minutes> from, int last_year) const {
    auto day = std::chrono::floor<std::chrono::days>(from);
    int minute = static_cast<int>((from - day).count());
    while (true) {
      const std::chrono::year_month_day date(day);
      if (static_cast<int>(date.year()) > last_year) return std::nullopt;
      if (!cron_.matches_month(static_cast<int>(static_cast<unsigned>(date.month())))) {
        day = sys_days((date.year() / date.month() / 1) + std::chrono::months(1));
      } else {
        if (matches_date(date, day)) {
          if (const auto found = first_of_day(minute)) return day + *found;
        }
        day += std::chrono::days(1);
      }
      minute = 0;
    }
  }

 private:
  bool matches_date(const std::chrono::year_month_day& date, sys_days day) const {
    return cron_.matches_date(static_cast<int>(static_cast<unsigned>(date.month())), static_cast<int>(static_cast<unsigned>(date.day())),
                              static_cast<int>(std::chrono::weekday(day).c_encoding()));
  }

  std::optional<minutes> first_of_day(int from) const {
    for (int hour = from / 60; hour < 24; ++hour) {
      if (!cron_.matches_hour(hour)) continue;
      for (int minute = hour == from / 60 ? from % 60 : 0; minute < 60; ++minute) {
        if (cron_.matches_minute(minute)) return minutes(hour * 60 + minute);
      }
    }
    return std::nullopt;
  }

  const CronExpression& cron_;
};

std::chrono::sys_time<minutes> as_if_utc(const CivilMinute& time) {
  const auto date = std::chrono::year(time.year) / time.month / time.day;
  return sys_days(date) + std::chrono::hours(time.hour) + minutes(time.minute);
}

CivilMinute civil(std::chrono::sys_time<minutes> time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto minute = static_cast<int>((time - day).count());
  return {static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month())),
          static_cast<int>(static_cast<unsigned>(date.day())), minute / 60, minute % 60,
          static_cast<int>(std::chrono::weekday(day).c_encoding())};
}

// For hours by name. The moment at which the clocks first reach a time never decreases from one time to a later one, so the first time whose moment
// lies behind `moment` is the one. Times before the clock's own were reached already.
std::optional<Timestamp> next_by_clock(const CronExpression& cron, const TimeZone& zone, Timestamp moment) {
  const Calendar calendar(cron);
  auto time = calendar.first_from(as_if_utc(zone.at(moment)), kLastYear);
  for (; time; time = calendar.first_from(*time + minutes(1), kLastYear)) {
    if (const Timestamp reached = zone.moment_of(civil(*time)); reached > moment) return reached;
  }
  return std::nullopt;
}

// For every hour: between two settings of the clocks they run evenly, so a distance on them is a distance in time.
std::optional<Timestamp> next_by_minutes(const CronExpression& cron, const TimeZone& zone, Timestamp moment) {
  const Calendar calendar(cron);
  Timestamp from = std::chrono::floor<minutes>(moment) + minutes(1);
  while (true) {
    const auto shown = as_if_utc(zone.at(from));
    const auto time = calendar.first_from(shown, kLastYear);
    if (!time) return std::nullopt;
    const Timestamp found = from + (*time - shown);
    const auto change = zone.next_change(from);
    if (!change || found < *change) return found;
    from = std::chrono::ceil<minutes>(*change);
  }
}

}  // namespace

Result<Timing> Timing::cron(std::string_view expression, std::string_view time_zone) {
  TRY_ASSIGN(const CronExpression parsed, CronExpression::parse(expression));
  TRY_ASSIGN(const TimeZone zone, TimeZone::load(time_zone));
  constexpr int kFirstYear = 2000;
  if (!Calendar(parsed).first_from(sys_days(std::chrono::year(kFirstYear) / 1 / 1), kFirstYear + kCalendarYears)) {
    return Error{ErrorCode::invalid_argument, format("cron '{}' is never due: no date fits its days and months", printable(expression)),
                 "correct the day of month or the month"};
  }
  return Timing(Cron{parsed, zone, std::string(expression)});
}

Result<Timing> Timing::every(std::chrono::milliseconds interval) {
  if (interval < kShortest || interval > kLongest) {
    return Error{ErrorCode::invalid_argument, format("an interval must be from 1s to 366d, not {}", duration_text(interval))};
  }
  return Timing(interval);
}

std::optional<Timestamp> Timing::find_next(const Cron& cron, Timestamp moment) {
  return cron.expression.takes_every_hour() ? next_by_minutes(cron.expression, cron.zone, moment)
                                            : next_by_clock(cron.expression, cron.zone, moment);
}

Timestamp Timing::next_after(Timestamp moment) const {
  if (const auto* const cron = std::get_if<Cron>(&when_)) return find_next(*cron, moment).value_or(Timestamp::max());
  const auto interval = std::get<std::chrono::milliseconds>(when_);
  const auto since = std::chrono::floor<std::chrono::milliseconds>(moment).time_since_epoch();
  const auto rest = (since % interval + interval) % interval;
  return Timestamp(since - rest + interval);
}

std::string Timing::text() const {
  if (const auto* const cron = std::get_if<Cron>(&when_)) return format("{} ({})", cron->text, cron->zone.name());
  return format("every {}", duration_text(std::get<std::chrono::milliseconds>(when_)));
}

std::string Timing::time_zone() const {
  const auto* const cron = std::get_if<Cron>(&when_);
  return cron ? cron->zone.name() : "UTC";
}

std::string Timing::local_text(Timestamp moment) const {
  if (const auto* const cron = std::get_if<Cron>(&when_)) return cron->zone.text(moment);
  std::string utc = rfc3339(moment);
  return utc.replace(utc.size() - 1, 1, "+00:00");
}

}  // namespace heimdall
