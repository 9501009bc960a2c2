#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/format.h"
#include "base/text.h"
#include "schedule/timing.h"

// Timing against an oracle that looks at each minute in turn and remembers what the clocks have shown.

namespace heimdall {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

struct Sample {
  std::string expression, zone;
  Timestamp from;
};

std::chrono::sys_time<minutes> shown(const TimeZone& zone, Timestamp moment) {
  const CivilMinute time = zone.at(moment);
  return std::chrono::sys_days(std::chrono::year(time.year) / time.month / time.day) + hours(time.hour) + minutes(time.minute);
}

bool matches(const CronExpression& cron, std::chrono::sys_time<minutes> time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto minute = static_cast<int>((time - day).count());
  return cron.matches_minute(minute % 60) && cron.matches_hour(minute / 60) &&
         cron.matches_date(static_cast<int>(static_cast<unsigned>(date.month())), static_cast<int>(static_cast<unsigned>(date.day())),
                           static_cast<int>(std::chrono::weekday(day).c_encoding()));
}

// The times within `length` behind sample.from, minute by minute.
std::vector<Timestamp> oracle(const Sample& sample, std::chrono::minutes length) {
  const CronExpression cron = CronExpression::parse(sample.expression).value();
  const TimeZone zone = TimeZone::load(sample.zone).value();
  std::vector<Timestamp> times;
  // The latest time that the clocks have shown; two days suffice to know it.
  auto latest = shown(zone, sample.from - hours(48));
  for (Timestamp at = sample.from - hours(48) + minutes(1); at <= sample.from + length; at += minutes(1)) {
    const auto now = shown(zone, at);
    bool is_due = false;
    if (cron.takes_every_hour()) {
      is_due = matches(cron, now);
    } else {
      for (auto time = latest + minutes(1); time <= now; time += minutes(1)) is_due = is_due || matches(cron, time);
    }
    latest = std::max(latest, now);
    if (is_due && at > sample.from) times.push_back(at);
  }
  return times;
}

std::string field_of(std::mt19937_64& random, int low, int high) {
  const auto any = [&](int from, int to) { return std::uniform_int_distribution<int>(from, to)(random); };
  const auto one = [&]() -> std::string {
    const int first = any(low, high);
    switch (any(0, 4)) {
      case 0: return format("*/{}", any(1, std::min(high, 12)));
      case 1: return format("{}-{}", first, any(first, high));
      case 2: return format("{}-{}/{}", first, any(first, high), any(1, 5));
      default: return format("{}", first);
    }
  };
  if (any(0, 2) == 0) return "*";
  return any(0, 1) == 0 ? one() : one() + "," + one();
}

Sample sample_of(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  // Moments around which clocks were set, in each of the zones.
  static const std::vector<std::pair<std::string, std::vector<std::string>>> kChanges = {
      {"Europe/Rome", {"2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2027-01-01T00:00:00Z"}},
      {"America/New_York", {"2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"}},
      {"Australia/Lord_Howe", {"2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"}},
      {"Asia/Beirut", {"2026-03-28T22:00:00Z", "2026-10-24T21:00:00Z"}},
      {"America/Sao_Paulo", {"2018-11-04T03:00:00Z", "2018-02-18T02:00:00Z"}},
      {"Pacific/Apia", {"2011-12-30T10:00:00Z", "2012-03-31T14:00:00Z"}},
      {"Africa/Casablanca", {"2026-02-15T02:00:00Z", "2026-03-22T02:00:00Z"}},
      {"America/Caracas", {"2007-12-09T07:00:00Z", "2016-05-01T07:00:00Z"}},
      {"Asia/Kathmandu", {"2026-02-28T18:15:00Z", "2028-02-28T18:15:00Z"}},
      {"UTC", {"2028-02-29T00:00:00Z", "2100-02-28T00:00:00Z"}},
  };
  const auto& [zone, changes] = kChanges[random() % kChanges.size()];
  const Timestamp change = parse_rfc3339(changes[random() % changes.size()]).value();
  const auto before = minutes(static_cast<std::int64_t>(random() % (36 * 60)));
  const std::string expression = format("{} {} {} {} {}", field_of(random, 0, 59), field_of(random, 0, 23), field_of(random, 1, 28),
                                        random() % 4 == 0 ? field_of(random, 1, 12) : "*", field_of(random, 0, 6));
  return {expression, zone, change - before};
}

RC_GTEST_PROP(TimingProperty, agrees_with_looking_at_each_minute, (std::uint64_t seed)) {
  const Sample sample = sample_of(seed);
  const auto timing = Timing::cron(sample.expression, sample.zone);
  RC_ASSERT(timing.has_value());
  const auto length = minutes(60 * 24 * 3);
  std::vector<Timestamp> found;
  for (Timestamp at = timing->next_after(sample.from); at <= sample.from + length; at = timing->next_after(at)) found.push_back(at);
  RC_LOG() << sample.expression << " in " << sample.zone << " from " << rfc3339(sample.from) << "\n";
  RC_ASSERT(found == oracle(sample, length));
}

RC_GTEST_PROP(TimingProperty, no_moment_in_between_has_another_next_time, (std::uint64_t seed, std::uint16_t part)) {
  const Sample sample = sample_of(seed);
  const Timing timing = Timing::cron(sample.expression, sample.zone).value();
  const Timestamp next = timing.next_after(sample.from);
  RC_ASSERT(next > sample.from);
  const Timestamp between = sample.from + (next - sample.from) / 65536 * part;
  RC_ASSERT(timing.next_after(between) == next);
}

}  // namespace
}  // namespace heimdall
