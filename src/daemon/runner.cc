#include "daemon/runner.h"

#include <pthread.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

#include <nlohmann/json.hpp>

#include "app/report_json.h"
#include "base/format.h"
#include "base/ids.h"
#include "base/line_log.h"
#include "base/text.h"
#include "daemon/run_progress.h"
#include "model/run_totals.h"

namespace heimdall {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostWaiting = 100;

Json progress_json(const std::string& run_id, const RunPosition& at) {
  return {{"run_id", run_id},
          {"bucket", at.bucket},
          {"phase", at.phase},
          {"done", at.done},
          {"expected", at.expected ? Json(*at.expected) : Json(nullptr)},
          {"per_second", std::round(at.per_second * 10) / 10}};
}

double seconds(std::chrono::nanoseconds time) { return std::round(std::chrono::duration<double, std::milli>(time).count()) / 1000; }

// A guard's line, as the command line prints it, and of which run it is. One that was overridden by name, or only looked at, is marked as accepted.
enum class Taken { no, yes };
Json guard_json(const std::string& run_id, const Refusal& refusal, Taken accepted) {
  Json json = refusal_json(refusal);
  json["run_id"] = run_id;
  if (accepted == Taken::yes) json["accepted"] = true;
  return json;
}

// Nobody wanted it to end, so a schedule makes up for it.
Error stopped_before() { return {ErrorCode::unavailable, "the service was stopped before the run began"}; }

RunOutcome broken_off(std::string why) {
  RunOutcome outcome;
  outcome.report.status = RunStatus::failed;
  outcome.error = Error{ErrorCode::internal, std::move(why), "the service goes on; what was deleted is in the journal: `runs show`"};
  return outcome;
}

// What broke while it was being stopped was stopped: it is not to be tried again.
void cancel_failed(RunOutcome& outcome) {
  outcome.report.status = RunStatus::interrupted;
  if (outcome.error) outcome.error->code = ErrorCode::cancelled;
  outcome.report.error = "it was cancelled, and ended with: " + outcome.report.error;
}

}  // namespace

struct Runner::Queued {
  std::string run_id;
  RunRequest request;
  Timestamp submitted_at{};
  std::stop_source stop;
  // Guarded by the runner's mutex.
  bool is_told = false;  // as queued; only then may it begin, be cancelled or be seen
  std::optional<Timestamp> started_at;
  std::shared_ptr<RunProgress> progress;
  std::map<std::string, BucketFigures> outcomes;

  bool started() const { return progress != nullptr; }
};

namespace {

// Without the runner's lock: a run may just be telling where it is.
LiveRun with_position(LiveRun live, const std::shared_ptr<RunProgress>& progress) {
  if (progress == nullptr) return live;
  RunPosition at = progress->position();
  live.phase = std::move(at.phase);
  live.bucket = std::move(at.bucket);
  live.done = at.done;
  live.expected = at.expected;
  return live;
}

}  // namespace

Runner::Runner(PerformRun perform, Clock& clock, Log& log, EventLog& events, SaveReport save)
    : perform_(std::move(perform)), clock_(clock), log_(log), events_(events), save_(std::move(save)),
      thread_([this](std::stop_token stop) { work(std::move(stop)); }) {}

Runner::~Runner() { stop(); }

void Runner::watch(RunWatcher& watcher) {
  const std::scoped_lock lock(mutex_);
  if (std::find(watchers_.begin(), watchers_.end(), &watcher) == watchers_.end()) watchers_.push_back(&watcher);
}

std::vector<RunWatcher*> Runner::watchers() const {
  const std::scoped_lock lock(mutex_);
  return watchers_;
}

Result<std::string> Runner::submit(RunRequest request) {
  TRY_ASSIGN(const std::shared_ptr<Queued> queued, line_up(std::move(request), Turn::in_line));
  return announce(queued);
}

Result<std::optional<std::string>> Runner::submit_if_idle(RunRequest request) {
  TRY_ASSIGN(const std::shared_ptr<Queued> queued, line_up(std::move(request), Turn::if_idle));
  return queued == nullptr ? std::nullopt : std::optional(announce(queued));
}

Result<std::shared_ptr<Runner::Queued>> Runner::line_up(RunRequest request, Turn turn) {
  auto queued = std::make_shared<Queued>();
  queued->run_id = new_run_id(clock_);
  queued->request = std::move(request);
  queued->submitted_at = clock_.now();
  const std::scoped_lock lock(mutex_);
  if (stopping_) return Error{ErrorCode::unavailable, "the service is stopping: it begins no more runs", "ask again when it is back"};
  if (turn == Turn::if_idle && !queue_.empty()) return std::shared_ptr<Queued>();
  const auto waiting = std::count_if(queue_.begin(), queue_.end(), [](const auto& one) { return !one->started(); });
  if (static_cast<std::size_t>(waiting) >= kMostWaiting) {
    return Error{ErrorCode::failed_precondition, format("{} runs wait already", kMostWaiting), "wait until they have ended, or cancel some"};
  }
  queue_.push_back(queued);
  return queued;
}

// Before it can begin, so that nothing of a run is told earlier.
std::string Runner::announce(const std::shared_ptr<Queued>& queued) {
  const RunRequest& asked = queued->request;
  tell_status(asked, queued->run_id, "queued");
  say(queued->run_id, LogLevel::info, "run.queued", "a run was asked for", {{"task", std::string(to_string(asked.task))}, {"trigger", asked.trigger}});
  {
    const std::scoped_lock lock(mutex_);
    if (!stopping_) {
      queued->is_told = true;
      changed_.notify_all();
      return queued->run_id;
    }
    std::erase(queue_, queued);
  }
  drop(*queued, stopped_before());
  return queued->run_id;
}

Result<void> Runner::cancel(const std::string& run_id) {
  std::shared_ptr<Queued> found;
  bool was_waiting = false;
  {
    const std::scoped_lock lock(mutex_);
    const auto at = std::find_if(queue_.begin(), queue_.end(), [&](const auto& one) { return one->is_told && one->run_id == run_id; });
    if (at == queue_.end()) {
      return Error{ErrorCode::not_found, format("no run '{}' waits or is under way", printable(run_id)), "the runs of the past are in the history"};
    }
    found = *at;
    was_waiting = !found->started();
    if (was_waiting) queue_.erase(at);
  }
  if (was_waiting) {
    drop(*found, {ErrorCode::cancelled, "it was cancelled before it began"});
  } else if (found->stop.request_stop()) {
    say(run_id, LogLevel::info, "run.cancelled", "the run was cancelled; what it is about is finished first", {});
  }
  return {};
}

void Runner::note_deletions(std::string_view run_id, std::span<const Deletion> deletions) {
  const std::scoped_lock lock(mutex_);
  if (queue_.empty() || queue_.front()->run_id != run_id) return;  // looked up for an earlier run, say
  for (const Deletion& deletion : deletions) count(queue_.front()->outcomes[deletion.bucket], deletion.outcome, deletion.object.size_bytes);
}

std::optional<LiveRun> Runner::live(const std::string& run_id) const {
  for (LiveRun& run : all_live()) {
    if (run.run_id == run_id) return std::move(run);
  }
  return std::nullopt;
}

std::vector<LiveRun> Runner::all_live() const {
  std::vector<std::pair<LiveRun, std::shared_ptr<RunProgress>>> found;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& one : queue_) {
      if (!one->is_told) continue;
      LiveRun live;
      live.run_id = one->run_id;
      live.request = one->request;
      live.started = one->started();
      live.submitted_at = one->submitted_at;
      live.started_at = one->started_at;
      live.outcomes = one->outcomes;
      live.cancelling = one->stop.stop_requested();
      found.emplace_back(std::move(live), one->progress);
    }
  }
  std::vector<LiveRun> all;
  for (auto& [live, progress] : found) all.push_back(with_position(std::move(live), progress));
  return all;
}

void Runner::stop() {
  std::call_once(stopped_, [this] {
    std::vector<std::shared_ptr<Queued>> dropped;
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
      for (const auto& one : queue_) {
        if (one->started()) one->stop.request_stop();
        else if (one->is_told) dropped.push_back(one);
      }
      for (const auto& one : dropped) std::erase(queue_, one);
    }
    thread_.request_stop();
    for (const auto& one : dropped) drop(*one, stopped_before());
    thread_.join();
  });
}

void Runner::work(std::stop_token stop) {
  pthread_setname_np(pthread_self(), "runner");
  for (;;) {
    std::shared_ptr<Queued> next;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, stop, [this] { return !queue_.empty() && queue_.front()->is_told; });
      if (stopping_ || stop.stop_requested()) return;
      next = queue_.front();
      next->started_at = clock_.now();
      next->progress = progress_of(next->run_id);
    }
    carry_out(*next);
  }
}

std::shared_ptr<RunProgress> Runner::progress_of(const std::string& run_id) {
  RunProgress::Listener listener;
  listener.at = [this, run_id](const RunPosition& at) { events_.add(run_id, "progress", to_text(progress_json(run_id, at))); };
  listener.phase_ended = [this, run_id](const RunPosition& at, std::chrono::nanoseconds took) {
    say(run_id, LogLevel::debug, "run.phase", "a phase ended",
        {{"bucket", at.bucket}, {"phase", at.phase}, {"duration_seconds", seconds(took)}, {"done", at.done}});
    for (RunWatcher* const watcher : watchers()) watcher->phase_ended(at.bucket, at.phase, took, at.done);
  };
  listener.warning = [this, run_id](std::string_view message) { say(run_id, LogLevel::warning, "run.warning", message, {}); };
  return std::make_shared<RunProgress>(clock_, std::move(listener));
}

void Runner::carry_out(Queued& queued) {
  const RunRequest& request = queued.request;
  tell_status(request, queued.run_id, to_string(RunStatus::running));
  say(queued.run_id, LogLevel::info, "run.started", "the run began",
      {{"task", std::string(to_string(request.task))}, {"dry_run", request.dry_run == RunReport::DryRun::yes}, {"trigger", request.trigger}});
  for (RunWatcher* const watcher : watchers()) watcher->run_began(request, queued.run_id);
  const RunOutcome outcome = perform_safely(queued);
  tell_watchers(request, outcome);
  {
    const std::scoped_lock lock(mutex_);
    queue_.pop_front();
  }
  tell_followers(request, outcome);
}

// Whatever goes wrong in a run, the service stays: memory that a huge bucket did not get is there again for the next one.
RunOutcome Runner::perform_safely(Queued& queued) {
  RunOutcome outcome;
  std::optional<std::string> thrown;
  try {
    outcome = perform_(queued.request, queued.run_id, *queued.progress, queued.stop.get_token());
  } catch (const std::exception& exception) {
    thrown = exception.what();
  } catch (...) {
    thrown = "an unknown exception";
  }
  if (thrown) outcome = broken_off(format("the run broke off: {}", *thrown));
  complete(outcome.report, queued.request, queued.run_id, *queued.started_at, clock_.now());
  if (thrown) outcome.report.error = outcome.error->message;
  const bool was_cut_short = queued.stop.stop_requested() && outcome.report.status == RunStatus::failed;
  if (was_cut_short) cancel_failed(outcome);
  if ((thrown || was_cut_short) && save_) save_(outcome.report);
  return outcome;
}

void Runner::drop(const Queued& queued, Error why) {
  RunOutcome outcome;
  outcome.report.status = RunStatus::interrupted;
  outcome.report.error = why.message;
  outcome.error = std::move(why);
  const Timestamp now = clock_.now();  // it took no time: it never began
  complete(outcome.report, queued.request, queued.run_id, now, now);
  if (save_) save_(outcome.report);
  tell_watchers(queued.request, outcome);
  tell_followers(queued.request, outcome);
}

void Runner::tell_status(const RunRequest& request, const std::string& run_id, std::string_view status) {
  events_.add(run_id, "status",
              to_text({{"run_id", run_id},
                       {"status", status},
                       {"command", to_string(request.task)},
                       {"trigger", request.trigger},
                       {"at", rfc3339_exact(clock_.now())}}));
}

void Runner::tell_watchers(const RunRequest& request, const RunOutcome& outcome) {
  for (const Refusal& refusal : outcome.refusals) {
    say(outcome.report.run_id, LogLevel::warning, "guard.refused", refusal.message,
        {{"guard", std::string(name_of(refusal.guard))}, {"bucket", refusal.bucket}, {"value", refusal.value}, {"limit", refusal.limit}});
  }
  for (RunWatcher* const watcher : watchers()) watcher->run_ended(request, outcome);
  say_end(request, outcome);
}

void Runner::say_end(const RunRequest& request, const RunOutcome& outcome) {
  const RunReport& report = outcome.report;
  const RunTotals totals = totals_of(report);
  std::vector<LogField> fields = {{"task", std::string(to_string(request.task))},
                                  {"status", std::string(to_string(report.status))},
                                  {"duration_seconds", seconds(report.completed_at.value_or(report.started_at) - report.started_at)},
                                  {"deleted", totals.orphans_deleted},
                                  {"bytes_deleted", totals.bytes_deleted},
                                  {"failed", totals.deletion_failures}};
  if (outcome.error && !outcome.error->hint.empty()) fields.push_back({"hint", outcome.error->hint});
  const bool well = report.status == RunStatus::success;
  const std::string message = report.error.empty() ? std::string(well ? "the run ended well" : "the run ended") : "the run ended: " + report.error;
  say(report.run_id, well ? LogLevel::info : LogLevel::warning, "run.ended", message, std::move(fields));
}

// A line of the log about a run; those who follow the run get it, too, whatever level the log takes.
void Runner::say(const std::string& run_id, LogLevel level, std::string_view event, std::string_view message, std::vector<LogField> fields) {
  fields.insert(fields.begin(), LogField{"run_id", run_id});
  if (log_.takes(level)) log_.write(level, event, message, fields);
  if (level != LogLevel::debug) events_.add(run_id, "log", json_log_line(clock_.now(), level, event, message, fields));
}

void Runner::tell_followers(const RunRequest& request, const RunOutcome& outcome) {
  const RunReport& report = outcome.report;
  tell_status(request, report.run_id, to_string(report.status));
  for (const Refusal& refusal : outcome.refusals) events_.add(report.run_id, "guard", to_text(guard_json(report.run_id, refusal, Taken::no)));
  for (const Refusal& refusal : outcome.overridden) events_.add(report.run_id, "guard", to_text(guard_json(report.run_id, refusal, Taken::yes)));
  events_.add(report.run_id, "summary", to_text(report_json("summary", report, summary_status(report.status))));
}

}  // namespace heimdall
