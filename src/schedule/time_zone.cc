#include "schedule/time_zone.h"

#include <cctz/civil_time.h>
#include <cctz/time_zone.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <vector>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

struct TimeZone::Zone {
  std::string name;
  cctz::time_zone zone;
};

namespace {

constexpr std::size_t kMaxName = 100;

using Seconds = cctz::time_point<cctz::seconds>;

Seconds whole(Timestamp moment) { return std::chrono::floor<cctz::seconds>(moment); }

// cctz takes more than names: paths, "file:...", "localtime". None of them means the same on another machine.
bool is_zone_name(std::string_view name) {
  const auto fits = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '+' || c == '/'; };
  return !name.empty() && name.size() <= kMaxName && name.front() != '/' && name != "localtime" && std::ranges::all_of(name, fits);
}

// The names of tzdata's table, for a hint; none if the table is not there.
std::vector<std::string> known_zones() {
  std::vector<std::string> names = {"UTC"};
  std::ifstream table("/usr/share/zoneinfo/tzdata.zi");
  for (std::string kind, name, line; table >> kind && std::getline(table >> name, line);) {
    if (kind == "Z") names.push_back(name);
    // "L target link"
    if (kind == "L" && line.size() > 1) names.push_back(line.substr(1));
  }
  return names;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

Error unknown_zone(std::string_view name) {
  const std::vector<std::string> known = known_zones();
  const auto same = std::ranges::find_if(known, [&](const std::string& zone) { return lower(zone) == lower(name); });
  const auto near = same != known.end() ? std::optional(*same) : name.size() > kMaxName ? std::nullopt : nearest(name, known);
  return Error{ErrorCode::invalid_argument,
               format("there is no time zone '{}'{}", elide_middle(printable(name), 60), near ? format("; did you mean '{}'?", *near) : std::string()),
               known.size() > 1 ? "zones are named as in the IANA database: UTC, Europe/Rome, America/New_York"
                                : "zones are named as in the IANA database: UTC, Europe/Rome, America/New_York; this machine lacks the package tzdata"};
}

}  // namespace

Result<TimeZone> TimeZone::load(std::string_view name) {
  auto zone = std::make_shared<Zone>();
  zone->name = name;
  if (!is_zone_name(name) || !cctz::load_time_zone(zone->name, &zone->zone)) return unknown_zone(name);
  return TimeZone(std::move(zone));
}

const std::string& TimeZone::name() const { return zone_->name; }

CivilMinute TimeZone::at(Timestamp moment) const {
  const cctz::civil_second time = cctz::convert(whole(moment), zone_->zone);
  const int from_monday = static_cast<int>(cctz::get_weekday(cctz::civil_day(time)));
  return {static_cast<int>(time.year()), time.month(), time.day(), time.hour(), time.minute(), (from_monday + 1) % 7};
}

Timestamp TimeZone::moment_of(const CivilMinute& time) const {
  const auto found = zone_->zone.lookup(cctz::civil_second(time.year, time.month, time.day, time.hour, time.minute));
  return found.kind == cctz::time_zone::civil_lookup::SKIPPED ? found.trans : found.pre;
}

std::optional<Timestamp> TimeZone::next_change(Timestamp moment) const {
  cctz::time_zone::civil_transition change;
  if (!zone_->zone.next_transition(whole(moment), &change)) return std::nullopt;
  // Until then the clocks run evenly.
  return whole(moment) + std::chrono::seconds(change.from - cctz::convert(whole(moment), zone_->zone));
}

std::string TimeZone::text(Timestamp moment) const { return cctz::format("%Y-%m-%dT%H:%M:%S%Ez", whole(moment), zone_->zone); }

}  // namespace heimdall
