#include "pipeline/sweep.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "base/crash_point.h"
#include "base/format.h"

namespace heimdall {

namespace {

constexpr int kMaxRechecksPerBatch = 5;
constexpr std::size_t kMaxInDoubt = 10'000;

constexpr std::chrono::seconds kAskAgain{1};  // how long a lock in a database is believed to be ours

// The locks that keep sweeps on other hosts away (invariant 9). Thread-safe; once lost is lost.
class Holds {
 public:
  Holds(const Clock& clock, std::span<SourceHold* const> holds) : clock_(clock), holds_(holds) {}

  bool are_ours() {
    const std::scoped_lock lock(mutex_);
    if (holds_.empty() || lost_ || clock_.boot_now() < believed_until_) return !lost_;
    const BootTime asked = clock_.boot_now();
    lost_ = !std::all_of(holds_.begin(), holds_.end(), [](SourceHold* hold) { return hold->still_held(); });
    believed_until_ = asked + kAskAgain;
    return !lost_;
  }

 private:
  const Clock& clock_;
  std::span<SourceHold* const> holds_;
  std::mutex mutex_;
  bool lost_ = false;
  BootTime believed_until_;
};

// Open while the recheck is fresh (invariant 12) and nobody else may be sweeping.
class FreshGate final : public SendGate {
 public:
  FreshGate(const Clock& clock, BootTime valid_until, Holds& holds) : clock_(clock), valid_until_(valid_until), holds_(holds) {}
  bool is_open() const override { return holds_.are_ours() && clock_.boot_now() < valid_until_; }

 private:
  const Clock& clock_;
  BootTime valid_until_;
  Holds& holds_;
};

class Sweep {
 public:
  Sweep(const BucketPlan& plan, const SweepTarget& target, JournalLog& journal, Clock& clock, const SweepOptions& options,
        Progress& progress, std::stop_token stop)
      : plan_(plan), target_(target), journal_(journal), clock_(clock), options_(options), progress_(progress),
        stop_(std::move(stop)), holds_(clock, target.holds),
        rechecker_(target.sources, plan.sources, target.policy, clock, options.recheck, progress) {
    report_.figures = plan.figures;
    report_.untouched = plan.candidates;
  }

  SweepReport run(const Plan& plan) {
    progress_.begin("sweep", plan_.bucket, plan_.candidates);
    if (auto done = run_batches(plan); !done) note_failure(std::move(done.error()));
    if (!stop_.stop_requested()) {
      if (auto done = settle_in_doubt(); !done) note_failure(std::move(done.error()));
    }
    // What could not be looked up yet stays in doubt in the journal, for recover().
    for (const ObjectMeta& object : in_doubt_) count_outcome(Outcome::in_doubt, object.size_bytes);
    if (auto done = journal_.flush(); !done) note_failure(std::move(done.error()));
    report_.interrupted = stop_.stop_requested() && report_.untouched > 0;
    progress_.end();
    return std::move(report_);
  }

 private:
  void note_failure(Error error) {
    if (error.code == ErrorCode::cancelled) return;  // the report says so itself
    if (!report_.failure) report_.failure = std::move(error);
  }

  bool ended() const { return report_.refusal || stop_.stop_requested(); }

  Result<void> run_batches(const Plan& plan) {
    if (plan_.candidates == 0) return {};
    TRY_ASSIGN(const std::string identity, target_.store.identity());
    if (identity != plan_.bucket_identity) {
      report_.refusal = Refusal{Guard::identity_changed, plan_.bucket, 1, 0,
                                format("this is another bucket than the plan was made for: '{}', it was '{}'", identity,
                                       plan_.bucket_identity)};
      return {};
    }
    TRY_ASSIGN(report_.refusal, rechecker_.begin(stop_));
    const std::size_t batch_size = std::min(target_.policy.batch_size, target_.store.max_batch());
    std::vector<ObjectMeta> batch;
    TRY(plan.for_each([&](const BucketPlan& bucket, const Candidate& candidate) -> Result<void> {
      if (&bucket != &plan_) return {};
      if (ended()) return Error{ErrorCode::cancelled, "the sweep ended early"};
      batch.push_back(candidate.object);
      if (batch.size() < batch_size) return {};
      TRY(sweep_batch(std::move(batch)));
      batch.clear();
      return {};
    }));
    if (batch.empty() || ended()) return {};
    return sweep_batch(std::move(batch));
  }

  // A batch is rechecked again as long as parts of it could not be sent while the verdict was fresh.
  Result<void> sweep_batch(std::vector<ObjectMeta> batch) {
    crash_point("sweep.batch.begin");
    if (!holds_.are_ours()) return lock_lost();
    for (int attempt = 0; attempt < kMaxRechecksPerBatch && !batch.empty(); ++attempt) {
      const auto verdict = recheck(batch);
      if (!verdict || verdict->refusal) {
        // An earlier attempt wrote the intent and then did not send it: that is known, not in doubt.
        if (attempt > 0) TRY(give_up(batch, "it was not sent in time, and its references could not be rechecked"));
        TRY(verdict);
        report_.refusal = verdict->refusal;
        return {};
      }
      TRY(drop_referenced(batch, verdict->referenced));
      TRY(drop_changed(batch));
      if (batch.empty()) break;
      if (!std::exchange(has_begun_, true)) TRY(options_.before_first_intent());
      TRY(journal_.intend(options_.run_id, plan_.bucket, plan_.bucket_identity, batch));
      crash_point("sweep.intended");
      TRY(send(batch, FreshGate(clock_, verdict->valid_until, holds_)));
      if (!holds_.are_ours()) {
        TRY(give_up(batch, "the lock in the database was lost before it was sent"));
        return lock_lost();
      }
    }
    return give_up(batch, "the references could not be rechecked often enough to delete it in time");
  }

  Error lock_lost() const {
    return Error{ErrorCode::locked, format("the lock on '{}' in the database was lost, so a sweep on another host may have begun", plan_.bucket),
                 "nothing more was sent; see why the database ended the session, then make a new plan"};
  }

  Result<void> give_up(const std::vector<ObjectMeta>& batch, const std::string& why) {
    for (const ObjectMeta& object : batch) note(object, Outcome::failed, why);
    return write_outcomes();
  }

  Result<RecheckVerdict> recheck(const std::vector<ObjectMeta>& batch) {
    std::vector<std::string_view> keys;
    for (const ObjectMeta& object : batch) keys.push_back(object.key.bytes());
    // Ctrl-C finishes the batch, and the recheck belongs to it.
    return rechecker_.check(keys, std::stop_token());
  }

  Result<void> drop_referenced(std::vector<ObjectMeta>& batch, const std::vector<std::uint8_t>& referenced) {
    std::vector<ObjectMeta> rest;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (referenced[i] != 0) note(batch[i], Outcome::skipped_referenced, "");
      else rest.push_back(std::move(batch[i]));
    }
    batch = std::move(rest);
    return write_outcomes();
  }

  // Invariant 5: key, ETag, size, date and version as planned, compared just before.
  Result<void> drop_changed(std::vector<ObjectMeta>& batch) {
    std::vector<ObjectKey> keys;
    for (const ObjectMeta& object : batch) keys.push_back(object.key);
    const auto found = target_.store.inspect(keys);
    if (found.size() != batch.size()) return Error{ErrorCode::internal, "the store answered for another number of objects"};
    // A store that says nothing of any object is gone: what is left is better not touched than counted as failed.
    const auto is_out_of_reach = [](const Result<ObjectMeta>& answer) { return !answer && answer.error().code == ErrorCode::unavailable; };
    if (!found.empty() && std::all_of(found.begin(), found.end(), is_out_of_reach)) return found.front().error();
    std::vector<ObjectMeta> rest;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (!found[i] && found[i].error().code == ErrorCode::not_found) note(batch[i], Outcome::already_gone, "");
      else if (!found[i]) note(batch[i], Outcome::failed, found[i].error().message);
      else if (*found[i] != batch[i]) note(batch[i], Outcome::skipped_changed, "it was rewritten since the plan was made");
      else rest.push_back(std::move(batch[i]));
    }
    batch = std::move(rest);
    return write_outcomes();
  }

  // Leaves in `batch` what was not sent because the recheck had gone stale.
  Result<void> send(std::vector<ObjectMeta>& batch, const FreshGate& gate) {
    if (!gate.is_open()) return {};
    auto outcomes = target_.store.remove(batch, gate);
    crash_point("sweep.removed");
    if (!outcomes && outcomes.error().code != ErrorCode::in_doubt) {
      for (const ObjectMeta& object : batch) note(object, Outcome::failed, outcomes.error().message);
      batch.clear();
      TRY(write_outcomes());
      return outcomes.error();
    }
    if (outcomes && outcomes->size() != batch.size()) {
      return Error{ErrorCode::internal, "the store answered for another number of objects"};
    }
    last_sent_ = clock_.boot_now();  // not before the last of its requests left
    std::vector<ObjectMeta> rest;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      using Kind = RemoveOutcome::Kind;
      const RemoveOutcome outcome =
          outcomes ? (*outcomes)[i] : RemoveOutcome{Kind::in_doubt, outcomes.error().message};
      if (outcome.kind == Kind::not_sent) rest.push_back(std::move(batch[i]));
      else if (outcome.kind == Kind::in_doubt) in_doubt_.push_back(std::move(batch[i]));
      else note(batch[i], to_outcome(outcome.kind), outcome.message);
    }
    batch = std::move(rest);
    TRY(write_outcomes());
    // A store that loses its answers is given time before it gets more, and what we remember of it stays bounded (invariant 11).
    return in_doubt_.size() < kMaxInDoubt ? Result<void>() : settle_in_doubt();
  }

  static Outcome to_outcome(RemoveOutcome::Kind kind) {
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

  // Invariant 6: looked up once the store can no longer be acting on the request.
  Result<void> settle_in_doubt() {
    if (in_doubt_.empty()) return {};
    const auto settled_at = last_sent_ + target_.store.settle_delay();
    clock_.sleep_for(std::max(settled_at - clock_.boot_now(), std::chrono::nanoseconds(0)), stop_);
    if (clock_.boot_now() < settled_at) return {};  // interrupted: the next start looks them up
    for (const ObjectMeta& object : in_doubt_) {
      const RemoveOutcome outcome = target_.store.settle(object);
      note(object, to_outcome(outcome.kind), outcome.message);
    }
    in_doubt_.clear();
    return write_outcomes();
  }

  void count_outcome(Outcome outcome, std::uint64_t size_bytes) {
    count(report_.figures, outcome, size_bytes);
    --report_.untouched;
  }

  void note(const ObjectMeta& object, Outcome outcome, std::string error) {
    outcomes_.push_back({plan_.bucket, object, outcome, std::move(error)});
  }

  Result<void> write_outcomes() {
    if (outcomes_.empty()) return {};
    // An outcome that is still in doubt is what the intent already says.
    std::vector<Deletion> known;
    for (Deletion& deletion : outcomes_) {
      count_outcome(deletion.outcome, deletion.object.size_bytes);
      if (deletion.outcome != Outcome::in_doubt) known.push_back(std::move(deletion));
    }
    progress_.advance(outcomes_.size());
    outcomes_.clear();
    TRY(journal_.record(options_.run_id, known));
    crash_point("sweep.recorded");
    return {};
  }

  const BucketPlan& plan_;
  const SweepTarget& target_;
  JournalLog& journal_;
  Clock& clock_;
  const SweepOptions& options_;
  Progress& progress_;
  std::stop_token stop_;
  Holds holds_;
  Rechecker rechecker_;
  SweepReport report_;
  std::vector<Deletion> outcomes_;
  std::vector<ObjectMeta> in_doubt_;
  bool has_begun_ = false;
  BootTime last_sent_;
};

}  // namespace

SweepReport sweep(const ApprovedPlan& approved, std::size_t bucket, const SweepTarget& target, JournalLog& journal,
                  Clock& clock, const SweepOptions& options, Progress& progress, std::stop_token stop) {
  return Sweep(approved.plan().buckets().at(bucket), target, journal, clock, options, progress, std::move(stop))
      .run(approved.plan());
}

}  // namespace heimdall
