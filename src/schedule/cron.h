#pragma once

#include <bitset>
#include <cstddef>
#include <string_view>

#include "base/error.h"

namespace heimdall {

// A cron expression of five fields: minute, hour, day of month, month, day of week. `*`, lists, ranges, steps (`*/5`, `1-9/2`), English names
// (`mon`, `jan`; any case), 7 for Sunday; `@hourly @daily @midnight @weekly @monthly @yearly @annually`. Where both days are restricted, either will do;
// a day field that begins with `*` does not count as restricted, so that `*/2` and a weekday must both fit (as in crontab(5)). Pure value.
class CronExpression {
 public:
  // invalid_argument names the field, what is wrong with it and what is allowed.
  static Result<CronExpression> parse(std::string_view text);

  bool matches_minute(int minute) const { return minutes_[static_cast<std::size_t>(minute)]; }
  bool matches_hour(int hour) const { return hours_[static_cast<std::size_t>(hour)]; }
  bool matches_month(int month) const { return months_[static_cast<std::size_t>(month)]; }
  // month 1-12, day 1-31, weekday 0-6 from Sunday.
  bool matches_date(int month, int day, int weekday) const;
  // Whether the hour does not matter: `*` or what amounts to it.
  bool takes_every_hour() const { return hours_.all(); }

 private:
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<7> weekdays_;
  bool any_day_ = true;      // the field began with `*`
  bool any_weekday_ = true;
};

}  // namespace heimdall
