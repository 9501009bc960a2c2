#include "pipeline/sweep/sweep.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/crash_point.h"
#include "base/format.h"
#include "base/guarded.h"
#include "pipeline/sweep/batch_sweep.h"
#include "pipeline/sweep/crew.h"
#include "pipeline/sweep/delete_pace.h"
#include "pipeline/sweep/rate_limit.h"
#include "pipeline/sweep/settle_turns.h"

namespace heimdall {

namespace {

constexpr std::size_t kMaxInDoubt = 10'000;
constexpr std::chrono::seconds kPause{1};  // where one batch at a time is too much for the store

// The plan is read and settled by the calling thread; batches are swept by the crew's.
class Sweep {
 public:
  Sweep(const BucketPlan& plan, const SweepTarget& target, JournalLog& journal, Clock& clock, const SweepOptions& options,
        Progress& progress, std::stop_token stop)
      : plan_(plan), target_(target), journal_(journal), clock_(clock), options_(options), progress_(progress),
        stop_(std::move(stop)), state_(plan.figures, plan.candidates), holds_(clock, target.holds),
        rechecker_(target.sources, plan.sources, target.policy, clock, options.recheck, progress), recheck_(rechecker_),
        pace_(DeletePace(target.policy, most_in_batch(), target.store.strain(), clock.boot_now())), rate_(target.policy.max_rate) {}

  SweepReport run(const Plan& plan) {
    const BootTime begun = clock_.boot_now();
    progress_.begin("sweep", plan_.bucket, plan_.candidates);
    note(run_batches(plan));
    if (!stop_.stop_requested()) note(settle_in_doubt());
    // What could not be looked up yet stays in doubt in the journal, for recover().
    std::vector<Deletion> unsettled;
    for (ObjectMeta& object : state_.take_in_doubt().objects) unsettled.push_back({plan_.bucket, std::move(object), Outcome::in_doubt, ""});
    state_.count(unsettled);
    note(journal_.flush());
    SweepReport report = state_.report();
    report.interrupted = stop_.stop_requested() && report.untouched > 0;
    report.times.wall = clock_.boot_now() - begun;
    report.times.workers = pace_.lock()->best_workers();
    progress_.end();
    return report;
  }

 private:
  using Batch = std::vector<ObjectMeta>;

  void note(Result<void> done) {
    if (!done) state_.fail(std::move(done.error()));
  }
  bool has_ended() const { return stop_.stop_requested() || !state_.may_send(); }
  std::size_t most_in_batch() const {
    return RateLimit(target_.policy.max_rate).largest_turn(std::min(target_.policy.batch_size, target_.store.max_batch()));
  }

  Result<void> run_batches(const Plan& plan) {
    if (plan_.candidates == 0) return {};
    TRY_ASSIGN(const std::string identity, target_.store.identity());
    if (auto other = identity_refusal(plan_, identity)) {
      state_.refuse(std::move(*other));
      return {};
    }
    TRY_ASSIGN(const auto refusal, rechecker_.begin(stop_));
    if (refusal) {
      state_.refuse(*refusal);
      return {};
    }
    Crew<Batch> crew("sweep", pace_.lock()->workers(), [&](Batch batch) { sweep_batch(crew, std::move(batch)); });
    auto done = hand_out(plan, crew);
    // Before the crew is waited for: what is wrong with the plan stops it, too.
    if (!done) state_.fail(done.error());
    return done;
  }

  Result<void> hand_out(const Plan& plan, Crew<Batch>& crew) {
    Batch batch;
    std::size_t size = pace_.lock()->batch_size();
    TRY(plan.for_each([&](const BucketPlan& bucket, const Candidate& candidate) -> Result<void> {
      if (&bucket != &plan_) return {};
      if (has_ended()) return Error{ErrorCode::cancelled, "the sweep ended early"};
      batch.push_back(candidate.object);
      if (batch.size() < size) return {};
      TRY(hand_over(crew, std::exchange(batch, {})));
      size = pace_.lock()->batch_size();
      return {};
    }));
    return batch.empty() ? Result<void>() : hand_over(crew, std::move(batch));
  }

  // Every wait comes before the batch's recheck, so that none makes its verdict older.
  Result<void> hand_over(Crew<Batch>& crew, Batch batch) {
    crew.wait_for_room();
    // A store that loses its answers is given time before it gets more, and what we remember of it stays bounded (invariant 11).
    if (state_.in_doubt() >= kMaxInDoubt) {
      crew.wait_until_idle();
      TRY(settle_in_doubt());
      pace_.lock()->forget_window(clock_.boot_now());
    }
    if (!has_ended() && pace_.lock()->wants_pause()) clock_.sleep_for(kPause, stop_);
    if (const auto wait = rate_.wait(clock_.boot_now()); !has_ended() && wait.count() > 0) {
      clock_.sleep_for(wait, stop_);
      pace_.lock()->forget_window(clock_.boot_now());
    }
    if (has_ended()) return {};
    rate_.begin(batch.size(), clock_.boot_now());
    crew.hand_over(std::move(batch));
    return {};
  }

  // On a thread of the crew.
  void sweep_batch(Crew<Batch>& crew, Batch batch) {
    const std::size_t objects = batch.size();
    const SweepTools tools{plan_, target_.store, journal_, clock_, options_.run_id, holds_, recheck_, state_, progress_, before_intent_};
    BatchSweep one(tools, std::move(batch));
    note(one.run());
    const DeletePace::EndedBatch ended{objects, one.was_late(), crew.under_way() - 1, target_.store.strain()};
    unsigned most = 0;
    {
      auto pace = pace_.lock();
      pace->batch_ended(ended, clock_.boot_now());
      most = pace->workers();
    }
    crew.set_most(most);
  }

  // Once; the others wait for it, and get the same answer.
  Result<void> begin_sending() {
    auto begun = begun_sending_.lock();
    if (!*begun) *begun = options_.before_first_intent();
    return **begun;
  }

  // Invariant 6: looked up once the store can no longer be acting on the requests. Nothing else is under way.
  Result<void> settle_in_doubt() {
    if (state_.in_doubt() == 0) return {};
    SweepState::InDoubt in_doubt = state_.take_in_doubt();
    const auto settled_at = in_doubt.last_sent + target_.store.settle_delay();
    clock_.sleep_for(std::max(settled_at - clock_.boot_now(), std::chrono::nanoseconds(0)), stop_);
    if (clock_.boot_now() < settled_at) {  // interrupted: the next start looks them up
      state_.doubt(std::move(in_doubt));
      return {};
    }
    SettleTurns turns;
    std::size_t done = 0;
    while (done < in_doubt.objects.size() && !stop_.stop_requested()) {
      const std::span turn = std::span(in_doubt.objects).subspan(done, turns.next(in_doubt.objects.size() - done));
      TRY(record_settled(turn, std::span(in_doubt.why).subspan(done, turn.size()), turns));
      done += turn.size();
    }
    const auto from = static_cast<std::ptrdiff_t>(done);  // the next start looks them up
    state_.doubt({{in_doubt.objects.begin() + from, in_doubt.objects.end()}, {in_doubt.why.begin() + from, in_doubt.why.end()}, in_doubt.last_sent});
    return {};
  }

  Result<void> record_settled(std::span<ObjectMeta> objects, std::span<const std::string> why, SettleTurns& turns) {
    std::vector<RemoveOutcome> found = turns.settle(target_.store, objects);
    std::vector<Deletion> outcomes, known;
    for (std::size_t i = 0; i < objects.size(); ++i) {
      std::string error = std::move(found[i].message);
      if (found[i].kind == RemoveOutcome::Kind::failed && !why[i].empty()) error += "; the delete was answered: " + why[i];
      outcomes.push_back({plan_.bucket, std::move(objects[i]), outcome_of(found[i].kind), std::move(error)});
      // An outcome that is still in doubt is what the intent already says.
      if (outcomes.back().outcome != Outcome::in_doubt) known.push_back(outcomes.back());
    }
    state_.count(outcomes);
    progress_.advance(outcomes.size());
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
  SweepState state_;
  Holds holds_;
  Rechecker rechecker_;
  SharedRecheck recheck_;
  Guarded<DeletePace> pace_;
  RateLimit rate_;
  Guarded<std::optional<Result<void>>> begun_sending_;  // held while it begins
  const std::function<Result<void>()> before_intent_ = [this] { return begin_sending(); };
};

}  // namespace

std::optional<Refusal> identity_refusal(const BucketPlan& plan, const std::string& identity) {
  if (identity == plan.bucket_identity) return std::nullopt;
  return Refusal{Guard::identity_changed, plan.bucket, 1, 0,
                 format("this is another bucket than the plan was made for: '{}', it was '{}'", identity, plan.bucket_identity)};
}

SweepReport sweep(const ApprovedPlan& approved, std::size_t bucket, const SweepTarget& target, JournalLog& journal,
                  Clock& clock, const SweepOptions& options, Progress& progress, std::stop_token stop) {
  return Sweep(approved.plan().buckets().at(bucket), target, journal, clock, options, progress, std::move(stop))
      .run(approved.plan());
}

}  // namespace heimdall
