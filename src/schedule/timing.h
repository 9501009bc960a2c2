#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "base/error.h"
#include "schedule/cron.h"
#include "schedule/time_zone.h"

namespace heimdall {

// When something is due again and again: a cron expression in a time zone, or every so often. Pure value.
//
// Cron names hours ("0 3 * * *", "*/10 8-17 * * *", "0 */2 * * *"): a time that a day skips (spring) comes at the next minute that exists, once for all
// the times that fall there; one that comes twice (autumn) is taken the first time only.
// Cron takes every hour ("*/10 * * * *", "15 * * * *"): it goes by the minutes that pass. The repeated hour has its runs both times, a skipped one none, so
// that neither an hour of silence nor a run out of step comes of setting the clocks.
// Every: multiples of the interval since 1970-01-01T00:00:00Z, so that neither a restart nor a slow run moves them.
class Timing {
 public:
  // Every hour.
  Timing() : when_(std::chrono::milliseconds(std::chrono::hours(1))) {}
  // invalid_argument as of CronExpression::parse() and TimeZone::load(), and for an expression that is never due ("0 0 31 2 *").
  static Result<Timing> cron(std::string_view expression, std::string_view time_zone);
  // invalid_argument below one second and above 366 days.
  static Result<Timing> every(std::chrono::milliseconds interval);

  // The first time after `moment`; always there.
  Timestamp next_after(Timestamp moment) const;
  // For people: "0 3 * * * (Europe/Rome)", "every 1h".
  std::string text() const;
  // The zone whose clocks it goes by: "Europe/Rome"; "UTC" for an interval.
  std::string time_zone() const;
  // `moment` on these clocks: "2026-11-25T03:00:00+01:00".
  std::string local_text(Timestamp moment) const;

 private:
  struct Cron {
    CronExpression expression;
    TimeZone zone;
    std::string text;
  };
  explicit Timing(std::variant<Cron, std::chrono::milliseconds> when) : when_(std::move(when)) {}
  static std::optional<Timestamp> find_next(const Cron& cron, Timestamp moment);
  std::variant<Cron, std::chrono::milliseconds> when_;
};

}  // namespace heimdall
