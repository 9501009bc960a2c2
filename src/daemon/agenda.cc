#include "daemon/agenda.h"

#include <algorithm>
#include <utility>

#include "base/format.h"
#include "base/hashing.h"
#include "base/text.h"

namespace heimdall {

namespace {

using namespace std::chrono_literals;

constexpr auto kLongestSleep = 1min;
constexpr auto kLongestStepBack = 48h;
constexpr unsigned kMostRetries = 3;
constexpr int kLooksForMark = 3;  // a tick apart, each a minute at most
constexpr int kMostStepsCounted = 10'000;  // due times that passed: enough for months of hours

bool may_pass(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_found:  // a directory or file that is not mounted just now
    case ErrorCode::unavailable:
    case ErrorCode::throttled:
    case ErrorCode::locked:
    case ErrorCode::in_doubt: return true;
    default: return false;
  }
}

// Whether the same run, a while later, may end better. Not if somebody or a guard decided, or a person must do something first.
bool may_pass(const RunOutcome& outcome) {
  if (outcome.report.status != RunStatus::failed && outcome.report.status != RunStatus::partial) return false;
  if (!outcome.refusals.empty()) return false;
  if (outcome.error) return may_pass(outcome.error->code);
  return std::any_of(outcome.unlisted.begin(), outcome.unlisted.end(), [](const RangeFailure& failure) { return may_pass(failure.error.code); });
}

struct Passed {
  Timestamp last{};         // the last due time up to now
  std::uint64_t times = 1;  // how many there were
};

// From `first`, which has passed, to `now`. After a gap that nobody wants to count, `now` stands for the last one.
Passed passed_until(const Timing& timing, Timestamp first, Timestamp now) {
  Passed passed{first};
  for (Timestamp next = timing.next_after(first); next <= now; next = timing.next_after(next)) {
    if (passed.times == kMostStepsCounted) return {now, passed.times};
    passed.last = next;
    ++passed.times;
  }
  return passed;
}

LogField text_field(std::string_view name, std::string value) { return {name, std::move(value)}; }

// Whether a mark was set by a clock that was ahead. Of a small step back it may keep one due time from coming twice; one that would silence a schedule for longer
// is not believed.
bool is_of_wrong_clock(const Timing& timing, Timestamp mark, Timestamp now) {
  return mark > now && (mark > now + kLongestStepBack || timing.next_after(timing.next_after(now)) <= mark);
}

// A schedule of working days rests at the weekend: one week shows the longest pause of most.
std::chrono::nanoseconds longest_interval(const Timing& timing, Timestamp now) {
  constexpr int kRuns = 8;
  std::chrono::nanoseconds longest{0};
  Timestamp at = timing.next_after(now);
  for (int i = 0; i < kRuns; ++i) {
    const Timestamp next = timing.next_after(at);
    longest = std::max(longest, std::chrono::nanoseconds(next - at));
    at = next;
  }
  return longest;
}

}  // namespace

struct Agenda::Entry {
  explicit Entry(Schedule its_schedule) : schedule(std::move(its_schedule)) {}

  Schedule schedule;
  bool is_ready = false;                 // its mark was read, or given up
  int looks_for_mark = 0;
  Timestamp due{};                       // the next one
  std::chrono::milliseconds late{0};     // by so much that one starts later
  std::optional<Timestamp> last_due;     // taken care of
  bool missed_one = false;               // while the service was down
  std::string run_id;                    // the last one
  bool is_live = false;                  // that run waits or is under way
  bool has_begun = false;                // it waits no longer
  unsigned attempts = 0;                 // of the retries that the last due time has
  std::optional<Timestamp> retry_at;
  std::chrono::milliseconds backoff{0};  // of that retry
  std::uint64_t started = 0, skipped = 0, missed = 0, retried = 0;

  Timestamp starts_at() const { return due + late; }
  void goes_on_as(std::string its_run_id) {
    run_id = std::move(its_run_id);
    is_live = true;
    has_begun = false;
  }
  RunRequest request() const {
    RunRequest request;
    request.task = schedule.task;
    request.buckets = schedule.buckets;
    request.trigger = "schedule " + schedule.name;
    return request;
  }
};

Agenda::Agenda(std::vector<Schedule> schedules, ScheduleMarks& marks, Log& log, Submit submit, std::uint64_t jitter_seed)
    : marks_(marks), log_(log), submit_(std::move(submit)), jitter_seed_(jitter_seed) {
  for (Schedule& schedule : schedules) entries_.emplace_back(std::move(schedule));
}

Agenda::~Agenda() = default;

Timestamp Agenda::tick(Timestamp now) {
  const bool stepped_back = last_tick_ && now < *last_tick_;
  last_tick_ = now;
  Timestamp again = now + kLongestSleep;
  for (Entry& entry : entries_) {
    if (!entry.is_ready && !prepare(entry, now)) continue;
    if (stepped_back) notice_step_back(entry, now);
    if (std::exchange(entry.missed_one, false)) make_up(entry, now);
    else if (entry.starts_at() <= now) come_due(entry, now);
    else if (entry.retry_at && *entry.retry_at <= now) retry(entry);
    again = std::min(again, entry.starts_at());
    if (entry.retry_at) again = std::min(again, *entry.retry_at);
  }
  return again;
}

// The first look at a schedule: where it stood when the service ended.
bool Agenda::prepare(Entry& entry, Timestamp now) {
  auto mark = marks_.mark(entry.schedule);
  if (!mark) {
    log_.warning("schedule.unknown", format("when schedule '{}' was due last is not known: {}", entry.schedule.name, mark.error().message),
                 {{"schedule", entry.schedule.name}});
    // Not "never" yet: somebody may just keep the state busy. But a broken state must not keep a schedule from running at all.
    if (++entry.looks_for_mark < kLooksForMark) return false;
  }
  entry.is_ready = true;
  if (mark) entry.last_due = *mark;
  aim_from(entry, now);
  entry.missed_one = entry.last_due && entry.schedule.timing.next_after(*entry.last_due) <= now;
  log_next(entry);
  return true;
}

void Agenda::log_next(const Entry& entry) {
  log_.info("schedule.next", format("schedule '{}' ({}) is due next at {}", entry.schedule.name, entry.schedule.timing.text(), rfc3339(entry.due)),
            {{"schedule", entry.schedule.name}, text_field("at", rfc3339(entry.due))});
}

void Agenda::notice_step_back(Entry& entry, Timestamp now) {
  if (entry.retry_at) entry.retry_at = std::min(*entry.retry_at, now + entry.backoff);
  if (entry.due > now) aim_from(entry, now);  // else it is due, and only its jitter waits
}

// The mark in the state stays until the next run begins.
void Agenda::aim_from(Entry& entry, Timestamp now) {
  std::optional<Timestamp> wrong;
  if (entry.last_due && is_of_wrong_clock(entry.schedule.timing, *entry.last_due, now)) wrong = std::exchange(entry.last_due, std::nullopt);
  aim(entry, std::max(now, entry.last_due.value_or(now)));
  if (!wrong) return;
  log_.warning("schedule.clock",
               format("schedule '{}' ran last for {}, which is yet to come: the clock was ahead; it goes on from now, and is due next at {}",
                      entry.schedule.name, rfc3339(*wrong), rfc3339(entry.due)),
               {{"schedule", entry.schedule.name}, text_field("last_due", rfc3339(*wrong)), text_field("next", rfc3339(entry.due))});
}

void Agenda::make_up(Entry& entry, Timestamp now) {
  const Timing& timing = entry.schedule.timing;
  const Passed passed = passed_until(timing, timing.next_after(*entry.last_due), now);
  entry.missed += passed.times;
  log_.warning("schedule.missed",
               format("{} of schedule '{}' passed while the service was not running; one run makes up for it",
                      count_of(passed.times, "due time"), entry.schedule.name),
               {{"schedule", entry.schedule.name}, text_field("due", rfc3339(passed.last)), {"missed", passed.times}});
  start(entry, passed.last, now);
}

void Agenda::come_due(Entry& entry, Timestamp now) {
  const Passed passed = passed_until(entry.schedule.timing, entry.due, now);
  if (passed.times > 1) {
    entry.missed += passed.times - 1;
    log_.warning("schedule.missed",
                 format("{} of schedule '{}' passed at once: the clock was stepped, or the machine slept; one run makes up for them",
                        count_of(passed.times, "due time"), entry.schedule.name),
                 {{"schedule", entry.schedule.name}, text_field("due", rfc3339(passed.last)), {"missed", passed.times - 1}});
  }
  start(entry, passed.last, now);
}

void Agenda::start(Entry& entry, Timestamp due, Timestamp now) {
  const std::string& name = entry.schedule.name;
  const bool waits = entry.is_live && !entry.has_begun;
  entry.retry_at.reset();
  entry.attempts = 0;
  entry.last_due = due;
  aim(entry, std::max(now, due));
  if (entry.is_live) {
    ++entry.skipped;
    log_.warning("schedule.skipped", format("schedule '{}' was due, and its run before has not ended", name),
                 {{"schedule", name}, text_field("due", rfc3339(due)), {"run_id", entry.run_id}});
  } else if (auto run_id = submit_(entry.request())) {
    ++entry.started;
    entry.goes_on_as(std::move(*run_id));
    // Not taken care of before it begins.
    save_mark(entry, due - 1s);
    log_.info("schedule.due", format("schedule '{}' was due", name), {{"schedule", name}, text_field("due", rfc3339(due)), {"run_id", entry.run_id}});
    return;
  } else {
    ++entry.skipped;
    log_.warning("schedule.skipped", format("schedule '{}' was due, and its run could not be begun: {}", name, run_id.error().message),
                 {{"schedule", name}, text_field("due", rfc3339(due))});
  }
  if (!waits) save_mark(entry, due);
}

void Agenda::save_mark(Entry& entry, Timestamp until) {
  if (auto saved = marks_.save_mark(entry.schedule, until); !saved) {
    log_.warning("schedule.unmarked", format("how schedule '{}' stands could not be written down: {}", entry.schedule.name, saved.error().message),
                 {{"schedule", entry.schedule.name}});
  }
}

// Null if the run is none of a schedule.
Agenda::Entry* Agenda::entry_of(const std::string& run_id) {
  const auto at = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.is_live && entry.run_id == run_id; });
  return at == entries_.end() ? nullptr : &*at;
}

void Agenda::run_began(const std::string& run_id) {
  Entry* const entry = entry_of(run_id);
  if (entry == nullptr) return;
  entry->has_begun = true;
  if (entry->last_due) save_mark(*entry, *entry->last_due);
}

// The next due time, and how late it starts: by the same part of the jitter for the same due time, and never beyond the one after it.
void Agenda::aim(Entry& entry, Timestamp after) const {
  entry.due = entry.schedule.timing.next_after(after);
  entry.late = 0ms;
  if (entry.schedule.jitter <= 0ms) return;
  const auto room = std::chrono::floor<std::chrono::milliseconds>(entry.schedule.timing.next_after(entry.due) - entry.due);
  const auto most = static_cast<std::uint64_t>(std::min(entry.schedule.jitter, room).count());
  const std::string which = format("{} {}", entry.schedule.name, entry.due.time_since_epoch().count());
  if (most > 0) entry.late = std::chrono::milliseconds(xxh3(which, jitter_seed_) % most);
}

void Agenda::run_ended(const std::string& run_id, const RunOutcome& outcome, Timestamp now) {
  Entry* const found = entry_of(run_id);
  if (found == nullptr) return;
  Entry& entry = *found;
  entry.is_live = false;
  // Somebody took it from the queue: nothing is to be made up for.
  if (!entry.has_begun && entry.last_due && outcome.error && outcome.error->code == ErrorCode::cancelled) save_mark(entry, *entry.last_due);
  if (!may_pass(outcome)) return;
  const std::string& name = entry.schedule.name;
  entry.backoff = entry.schedule.retry_delay * (1U << entry.attempts);
  const bool tries_left = entry.attempts < std::min(entry.schedule.retries, kMostRetries);
  if (tries_left && now + entry.backoff < entry.starts_at()) {
    entry.retry_at = now + entry.backoff;
    if (entry.last_due) save_mark(entry, *entry.last_due - 1s);
    log_.warning("schedule.retry",
                 format("the run of schedule '{}' failed for a reason that may pass: it is tried again in {}", name, human_duration(entry.backoff)),
                 {{"schedule", name}, {"run_id", run_id}, {"attempt", std::int64_t{entry.attempts} + 1}, text_field("at", rfc3339(*entry.retry_at))});
  } else {
    log_.warning("schedule.gave_up", format("the run of schedule '{}' failed, and is not tried again before it is due next", name),
                 {{"schedule", name}, {"run_id", run_id}, text_field("next", rfc3339(entry.starts_at()))});
  }
}

void Agenda::retry(Entry& entry) {
  entry.retry_at.reset();
  ++entry.attempts;
  ++entry.retried;
  const std::string& name = entry.schedule.name;
  auto run_id = submit_(entry.request());
  if (!run_id) {
    log_.warning("schedule.gave_up", format("schedule '{}' was to be tried again, and its run could not be begun: {}", name, run_id.error().message),
                 {{"schedule", name}});
    return;
  }
  entry.goes_on_as(std::move(*run_id));
  log_.info("schedule.retried", format("schedule '{}' is tried again", name),
            {{"schedule", name}, {"run_id", entry.run_id}, {"attempt", std::int64_t{entry.attempts}}});
}

void Agenda::replace(std::vector<Schedule> schedules, Timestamp now) {
  std::vector<Entry> entries;
  for (Schedule& schedule : schedules) {
    const auto old = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.schedule.name == schedule.name; });
    if (old == entries_.end()) {
      Entry& entry = entries.emplace_back(std::move(schedule));
      entry.is_ready = true;
      aim(entry, now);
      log_next(entry);
      continue;
    }
    const bool same_timing = old->schedule.timing.text() == schedule.timing.text();
    Entry& entry = entries.emplace_back(std::move(*old));
    entry.schedule = std::move(schedule);
    if (same_timing) {
      entry.late = std::min(entry.late, entry.schedule.jitter);
    } else {
      entry.retry_at.reset();
      entry.is_ready = true;
      aim_from(entry, now);
      log_next(entry);
    }
  }
  entries_ = std::move(entries);
}

std::vector<ScheduleState> Agenda::states(Timestamp now) const {
  std::vector<ScheduleState> states;
  for (const Entry& entry : entries_) {
    ScheduleState& state = states.emplace_back();
    state.name = entry.schedule.name;
    state.task = entry.schedule.task;
    state.timing = entry.schedule.timing.text();
    state.next = entry.is_ready ? entry.starts_at() : entry.schedule.timing.next_after(now);
    state.last_due = entry.last_due;
    state.last_run_id = entry.run_id;
    state.started = entry.started;
    state.skipped = entry.skipped;
    state.missed = entry.missed;
    state.retried = entry.retried;
    state.retry_at = entry.retry_at;
    state.interval = longest_interval(entry.schedule.timing, now);
  }
  return states;
}

}  // namespace heimdall
