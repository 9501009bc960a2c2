#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace heimdall {

// The date and time on a wall clock somewhere.
struct CivilMinute {
  int year = 1970, month = 1, day = 1, hour = 0, minute = 0;
  int weekday = 4;  // 0-6 from Sunday; not read by moment_of()
};

// An IANA time zone; the system's tzdata. Pure value; cheap to copy. The one place that knows cctz.
class TimeZone {
 public:
  // invalid_argument if the system knows no such zone; the hint says how zones are named, and to install tzdata.
  static Result<TimeZone> load(std::string_view name);
  const std::string& name() const;

  CivilMinute at(Timestamp moment) const;
  // The moment at which the clocks first show this time. If they skip it: the first moment after the gap.
  Timestamp moment_of(const CivilMinute& time) const;
  // The first moment after `moment` at which the clocks are set forward or back; nullopt if that is not foreseen.
  std::optional<Timestamp> next_change(Timestamp moment) const;
  // "2026-11-25T03:00:00+01:00".
  std::string text(Timestamp moment) const;

 private:
  struct Zone;
  explicit TimeZone(std::shared_ptr<const Zone> zone) : zone_(std::move(zone)) {}
  std::shared_ptr<const Zone> zone_;
};

}  // namespace heimdall
