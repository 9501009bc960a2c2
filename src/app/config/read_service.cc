#include <algorithm>
#include <cctype>

#include "app/config/draft.h"
#include "base/format.h"
#include "base/text.h"
#include "schedule/time_zone.h"
#include "schedule/timing.h"

namespace heimdall {
namespace {

constexpr std::chrono::hours kDay{24};
constexpr unsigned kMaxRetries = 3;

void check_schedule_name(const std::string& name, YamlMark mark, std::vector<Marked<std::string>>& names, Problems& problems) {
  if (!check_name(name, mark, problems)) return;
  const auto other = std::ranges::find(names, name, &Marked<std::string>::value);
  if (other != names.end()) problems.add(mark, format("the name '{}' already names a schedule in line {}", printable(name), other->mark.line));
  names.push_back({name, mark});
}

// Each part by itself, so that the problem stands at the value that is wrong.
std::optional<Timing> read_cron(Section& section) {
  const auto expression = section.text("cron");
  const auto name = section.text("time_zone");
  std::optional<Error> bad_zone;
  if (name) {
    if (const auto zone = TimeZone::load(*name); !zone) bad_zone = zone.error();
  }
  if (bad_zone) section.problem("time_zone", with_hint(*bad_zone));
  if (!expression) return std::nullopt;
  const auto timing = Timing::cron(*expression, bad_zone ? "UTC" : name.value_or("UTC"));
  if (timing) return *timing;
  section.problem("cron", with_hint(timing.error()));
  return std::nullopt;
}

std::optional<Timing> read_every(Section& section) {
  const auto interval = section.duration("every");
  if (!interval) return std::nullopt;
  const auto timing = Timing::every(*interval);
  if (timing) return *timing;
  section.problem("every", format("'every': {}", with_hint(timing.error())));
  return std::nullopt;
}

std::optional<Timing> read_timing(Section& section, Problems& problems) {
  const auto cron = read_cron(section);
  const auto every = read_every(section);
  if (section.has("cron") == section.has("every")) {
    problems.add(section.mark(), "a schedule needs either 'cron' or 'every'");
  } else if (section.has("every") && section.has("time_zone")) {
    section.problem("time_zone", "'time_zone' belongs to 'cron'; 'every' counts from 1970-01-01 UTC wherever the machine stands");
  }
  return cron ? cron : every;
}

std::chrono::milliseconds shortest_gap(const Timing& timing) {
  constexpr int kTimes = 100;
  Timestamp last = timing.next_after(std::chrono::sys_days(std::chrono::year(2026) / 1 / 1));
  auto shortest = Timestamp::duration::max();
  for (int i = 0; i < kTimes; ++i) {
    const Timestamp next = timing.next_after(last);
    shortest = std::min(shortest, next - last);
    last = next;
  }
  return std::chrono::floor<std::chrono::milliseconds>(shortest);
}

void read_jitter(Section& section, const std::optional<Timing>& timing, ScheduleConfig& schedule) {
  const auto jitter = section.duration("jitter");
  if (!jitter) return;
  schedule.jitter = *jitter;
  if (*jitter > kDay) return section.problem("jitter", "'jitter' must be at most 1d");
  if (!timing) return;
  // A run that may be late by all the time there is could come after the next one.
  if (const auto gap = shortest_gap(*timing); *jitter >= gap) {
    section.problem("jitter", format("'jitter' must be shorter than the time between two runs, {}", duration_text(gap)));
  }
}

void read_schedule_buckets(Section& section, ScheduleConfig& schedule, const ReadContext& context) {
  std::vector<std::string> known;
  for (const BucketConfig& bucket : context.draft.config.buckets) known.push_back(bucket.policy.name);
  const auto names = section.texts("buckets");
  if (const YamlNode* const node = section.find("buckets"); node != nullptr && node->kind == YamlNode::Kind::sequence && node->items.empty()) {
    section.problem("buckets", "'buckets' is empty; name some, or leave the key out for all of them");
  }
  for (const Marked<std::string>& name : names) {
    if (std::ranges::find(known, name.value) == known.end()) {
      context.problems.add(name.mark, format("there is no bucket '{}'{} (configured: {})", printable(name.value), did_you_mean(name.value, known),
                                             known.empty() ? "none" : comma_list(known)));
    } else if (std::ranges::find(schedule.buckets, name.value) != schedule.buckets.end()) {
      context.problems.add(name.mark, format("'{}' stands twice in 'buckets'", printable(name.value)));
    } else {
      schedule.buckets.push_back(name.value);
    }
  }
}

void read_schedule(const YamlNode& node, std::vector<Marked<std::string>>& names, ReadContext& context) {
  Section section(node, "a schedule", context.problems);
  ScheduleConfig schedule;
  if (const auto name = section.required_text("name")) {
    schedule.name = *name;
    check_schedule_name(*name, section.mark_of("name"), names, context.problems);
  }
  section.require("task");
  const auto task = section.choice<ScheduledTask>("task", {{"cleanup", ScheduledTask::cleanup}, {"stats", ScheduledTask::stats}});
  if (task) schedule.task = *task;
  const auto timing = read_timing(section, context.problems);
  if (timing) schedule.timing = *timing;
  read_schedule_buckets(section, schedule, context);
  read_jitter(section, timing, schedule);
  if (const auto retries = section.integer("retries", 0, kMaxRetries)) schedule.retries = static_cast<unsigned>(*retries);
  section.finish();
  context.draft.config.schedules.push_back(std::move(schedule));
}

void read_schedules(const YamlNode* node, ReadContext& context) {
  if (node == nullptr) return;
  context.draft.features.push_back({Feature::schedules, node->mark});
  if (node->kind != YamlNode::Kind::sequence) {
    return context.problems.add(node->mark, "'schedules' must be a list, such as [{name: nightly, task: cleanup, cron: \"0 3 * * *\"}]");
  }
  std::vector<Marked<std::string>> names;
  for (const YamlNode& item : node->items) read_schedule(item, names, context);
}

void read_http(const YamlNode* node, ReadContext& context) {
  if (node == nullptr) return;
  context.draft.features.push_back({Feature::http, node->mark});
  Section section(*node, "the section 'http'", context.problems);
  HttpConfig http;
  if (const auto listen = section.text("listen")) {
    http.listen = *listen;
    if (const auto checked = check_listen_address(*listen); !checked) section.problem("listen", format("'listen': {}", with_hint(checked.error())));
  }
  http.token = read_secret(section, "token", context);
  section.finish();
  context.draft.config.http = std::move(http);
}

void read_health(const YamlNode* node, ReadContext& context) {
  if (node == nullptr) return;
  Section section(*node, "the section 'health'", context.problems);
  HealthThresholds& health = context.draft.config.health;
  const auto warning = section.ratio("warning_ratio");
  const auto critical = section.ratio("critical_ratio");
  health.warning = warning.value_or(health.warning);
  health.critical = critical.value_or(health.critical);
  if (health.warning > health.critical) {
    const bool is_warning = warning.has_value();
    section.problem(is_warning ? "warning_ratio" : "critical_ratio",
                    format("'warning_ratio' ({}{}) is above 'critical_ratio' ({}{})", health.warning, warning ? "" : " by default", health.critical,
                           critical ? "" : " by default"));
  }
  section.finish();
}

void read_events(const YamlNode* node, ReadContext& context) {
  if (node == nullptr) return;
  context.draft.features.push_back({Feature::events, node->mark});
  Section section(*node, "the section 'events'", context.problems);
  EventsConfig events;
  if (const auto database = section.required_text("database")) {
    events.database = *database;
    if (context.draft.config.find_database(*database) == nullptr) {
      section.problem("database", format("'events' names the unknown database '{}'", printable(*database)));
    }
  }
  if (const auto delay = section.duration("delay")) events.delay = *delay;
  if (const auto notify = section.boolean("notify")) events.notify = *notify;
  events.max_deletes_per_hour = section.integer("max_deletes_per_hour", 1, UINT64_MAX);
  section.finish();
  context.draft.config.events = std::move(events);
}

void read_state(const YamlNode* node, ReadContext& context) {
  context.draft.config.state = (context.base / "state").lexically_normal();
  if (node == nullptr) return;
  Section section(*node, "the section 'state'", context.problems);
  context.draft.state = section.mark_of("path");
  if (const auto path = read_path(section, "path", context)) context.draft.config.state = *path;
  if (const auto keep = section.duration("keep_runs")) {
    if (*keep < kDay) section.problem("keep_runs", "'keep_runs' must be at least 1d");
    context.draft.config.keep_runs = *keep;
  }
  section.finish();
}

Error bad_address(std::string_view address, std::string_view what) {
  return Error{ErrorCode::invalid_argument, format("'{}' {}", elide_middle(printable(address), 60), what),
               "write an address and a port, such as 127.0.0.1:8001, 0.0.0.0:8001, localhost:8001 or [::1]:8001"};
}

bool is_port(std::string_view text) {
  constexpr int kMaxPort = 65535;
  if (text.empty() || text.size() > 5) return false;
  int port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    port = port * 10 + (c - '0');
  }
  return port <= kMaxPort;
}

}  // namespace

Result<void> check_listen_address(std::string_view address) {
  if (address.find("://") != std::string_view::npos) return bad_address(address, "is a URL");
  const std::size_t colon = address.rfind(':');
  const bool in_brackets = address.starts_with('[');
  const std::size_t bracket = address.find(']');
  if (in_brackets && (bracket == std::string_view::npos || colon != bracket + 1)) return bad_address(address, "has no port behind ']'");
  if (colon == std::string_view::npos) return bad_address(address, is_port(address) ? "has no address" : "has no port");
  const std::string_view host = in_brackets ? address.substr(1, bracket - 1) : address.substr(0, colon);
  if (host.empty()) return bad_address(address, "has no address");
  if (!is_port(address.substr(colon + 1))) return bad_address(address, "has a port that is not from 0 to 65535");
  if (!in_brackets && host.find(':') != std::string_view::npos) return bad_address(address, "is an IPv6 address without brackets");
  const auto fits = [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_' || (in_brackets && (c == ':' || c == '%'));
  };
  if (!std::ranges::all_of(host, fits)) return bad_address(address, "has an address that cannot be one");
  return {};
}

void read_service(Section& root, ReadContext& context) {
  read_state(root.find("state"), context);
  read_schedules(root.find("schedules"), context);
  read_http(root.find("http"), context);
  read_health(root.find("health"), context);
  read_events(root.find("events"), context);
}

}  // namespace heimdall
