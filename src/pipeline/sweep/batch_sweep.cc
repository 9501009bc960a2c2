#include "pipeline/sweep/batch_sweep.h"

#include <algorithm>
#include <utility>

#include "base/crash_point.h"
#include "base/format.h"

namespace heimdall {

namespace {

constexpr int kMaxRechecks = 5;

// Adds the time of its life to a stage.
class StageTimer {
 public:
  StageTimer(const SweepTools& tools, std::chrono::nanoseconds SweepTimes::*stage)
      : tools_(tools), stage_(stage), begun_(tools.clock.boot_now()) {}
  ~StageTimer() { tools_.state.spent(stage_, tools_.clock.boot_now() - begun_); }
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  const SweepTools& tools_;
  std::chrono::nanoseconds SweepTimes::*stage_;
  BootTime begun_;
};

}  // namespace

Outcome outcome_of(RemoveOutcome::Kind kind) {
  using Kind = RemoveOutcome::Kind;
  switch (kind) {
    case Kind::deleted: return Outcome::deleted;
    case Kind::already_gone: return Outcome::already_gone;
    case Kind::changed: return Outcome::skipped_changed;
    case Kind::failed:
    case Kind::not_sent: return Outcome::failed;
    case Kind::in_doubt: return Outcome::in_doubt;
  }
  return Outcome::in_doubt;
}

Result<void> BatchSweep::run() {
  crash_point("sweep.batch.begin");
  if (!tools_.holds.are_ours()) return lock_lost();
  for (int i = 0; i < kMaxRechecks && !batch_.empty() && tools_.state.may_send(); ++i) {
    was_late_ = was_late_ || i > 0;
    TRY(attempt());
  }
  if (!tools_.state.may_send()) return give_up("the sweep ended before it was sent");
  return give_up("the references could not be rechecked often enough to delete it in time");
}

// Leaves in the batch what was not sent because the verdict had gone stale.
Result<void> BatchSweep::attempt() {
  const auto verdict = recheck();
  if (!verdict || verdict->refusal) {
    if (verdict) tools_.state.refuse(*verdict->refusal);
    TRY(give_up("it was not sent in time, and its references could not be rechecked"));
    TRY(verdict);
    batch_.clear();
    return {};
  }
  TRY(drop_referenced(verdict->referenced));
  TRY(drop_changed());
  if (batch_.empty()) return {};
  TRY(write_intents());
  TRY(send(FreshGate(tools_.clock, verdict->valid_until, tools_.holds, tools_.state)));
  if (!tools_.holds.are_ours()) {
    TRY(give_up("the lock in the database was lost before it was sent"));
    return lock_lost();
  }
  return {};
}

Error BatchSweep::lock_lost() const {
  return {ErrorCode::locked,
          format("the lock on '{}' in the database was lost, so a sweep on another host may have begun", tools_.plan.bucket),
          "nothing more was sent; see why the database ended the session, then make a new plan"};
}

// What had an intent and was then not sent is known, not in doubt. What had none was not touched.
Result<void> BatchSweep::give_up(const std::string& why) {
  if (!has_intent_) return {};
  for (const ObjectMeta& object : std::exchange(batch_, {})) note(object, Outcome::failed, why);
  return write_outcomes();
}

Result<RecheckVerdict> BatchSweep::recheck() {
  const StageTimer timer(tools_, &SweepTimes::recheck);
  std::vector<std::string_view> keys;
  for (const ObjectMeta& object : batch_) keys.push_back(object.key.bytes());
  return tools_.recheck.check(keys);
}

Result<void> BatchSweep::drop_referenced(const std::vector<std::uint8_t>& referenced) {
  std::vector<ObjectMeta> rest;
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    if (referenced[i] != 0) note(batch_[i], Outcome::skipped_referenced);
    else rest.push_back(std::move(batch_[i]));
  }
  batch_ = std::move(rest);
  return write_outcomes();
}

// Invariant 5: key, ETag, size, date and version as planned, compared just before.
Result<void> BatchSweep::drop_changed() {
  std::vector<ObjectKey> keys;
  for (const ObjectMeta& object : batch_) keys.push_back(object.key);
  std::vector<Result<ObjectMeta>> found;
  {
    const StageTimer timer(tools_, &SweepTimes::compare);
    found = tools_.store.inspect(keys);
  }
  if (found.size() != batch_.size()) {
    TRY(give_up("the store did not say what is there by now"));
    return Error{ErrorCode::internal, "the store answered for another number of objects"};
  }
  // A store that says nothing of any object is gone: what is left is better not touched than counted as failed.
  const auto is_out_of_reach = [](const Result<ObjectMeta>& answer) { return !answer && answer.error().code == ErrorCode::unavailable; };
  if (!found.empty() && std::all_of(found.begin(), found.end(), is_out_of_reach)) {
    TRY(give_up("the store was out of reach before it was sent"));
    return found.front().error();
  }
  const auto stopped = std::find_if(found.begin(), found.end(), [](const auto& answer) { return !answer && answer.error().code == ErrorCode::cancelled; });
  if (stopped != found.end()) {
    TRY(give_up("the run was stopped before it was sent"));
    return stopped->error();
  }
  std::vector<ObjectMeta> rest;
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    if (!found[i] && found[i].error().code == ErrorCode::not_found) note(batch_[i], Outcome::already_gone);
    else if (!found[i]) note(batch_[i], Outcome::failed, found[i].error().message);
    else if (*found[i] != batch_[i]) note(batch_[i], Outcome::skipped_changed, "it was rewritten since the plan was made");
    else rest.push_back(std::move(batch_[i]));
  }
  batch_ = std::move(rest);
  return write_outcomes();
}

// Invariant 6: durable before the request leaves.
Result<void> BatchSweep::write_intents() {
  TRY(tools_.before_intent());
  {
    const StageTimer timer(tools_, &SweepTimes::journal);
    TRY(tools_.journal.intend(tools_.run_id, tools_.plan.bucket, tools_.plan.bucket_identity, batch_));
  }
  has_intent_ = true;
  crash_point("sweep.intended");
  return {};
}

Result<void> BatchSweep::send(const SendGate& gate) {
  if (!gate.is_open()) return {};
  auto outcomes = [&] {
    const StageTimer timer(tools_, &SweepTimes::remove);
    return tools_.store.remove(batch_, gate);
  }();
  crash_point("sweep.removed");
  if (!outcomes && outcomes.error().code != ErrorCode::in_doubt) {
    for (const ObjectMeta& object : std::exchange(batch_, {})) note(object, Outcome::failed, outcomes.error().message);
    TRY(write_outcomes());
    return outcomes.error();
  }
  if (outcomes && outcomes->size() != batch_.size()) {
    return Error{ErrorCode::internal, "the store answered for another number of objects"};
  }
  const BootTime last_sent = tools_.clock.boot_now();  // not before the last of its requests left
  std::vector<ObjectMeta> rest;
  SweepState::InDoubt in_doubt{{}, {}, last_sent};
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    using Kind = RemoveOutcome::Kind;
    RemoveOutcome outcome = outcomes ? (*outcomes)[i] : RemoveOutcome{Kind::in_doubt, outcomes.error().message};
    if (outcome.kind == Kind::not_sent) rest.push_back(std::move(batch_[i]));
    else if (outcome.kind != Kind::in_doubt) note(batch_[i], outcome_of(outcome.kind), std::move(outcome.message));
    else {
      in_doubt.objects.push_back(std::move(batch_[i]));
      in_doubt.why.push_back(std::move(outcome.message));
    }
  }
  batch_ = std::move(rest);
  tools_.state.doubt(std::move(in_doubt));
  return write_outcomes();
}

void BatchSweep::note(const ObjectMeta& object, Outcome outcome, std::string error) {
  outcomes_.push_back({tools_.plan.bucket, object, outcome, std::move(error)});
}

Result<void> BatchSweep::write_outcomes() {
  const std::vector<Deletion> outcomes = std::exchange(outcomes_, {});
  if (outcomes.empty()) return {};
  tools_.state.count(outcomes);
  tools_.progress.advance(outcomes.size());
  const StageTimer timer(tools_, &SweepTimes::journal);
  TRY(tools_.journal.record(tools_.run_id, outcomes));
  crash_point("sweep.recorded");
  return {};
}

}  // namespace heimdall
