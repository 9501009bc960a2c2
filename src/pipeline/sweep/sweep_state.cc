#include "pipeline/sweep/sweep_state.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace heimdall {

SweepState::SweepState(const BucketFigures& planned, std::uint64_t candidates) {
  report_.figures = planned;
  report_.untouched = candidates;
}

void SweepState::fail(Error error) {
  if (error.code == ErrorCode::cancelled) return;  // the report says so itself
  may_send_ = false;
  const std::scoped_lock lock(mutex_);
  if (!report_.failure) report_.failure = std::move(error);
}

void SweepState::refuse(Refusal refusal) {
  may_send_ = false;
  const std::scoped_lock lock(mutex_);
  if (!report_.refusal) report_.refusal = std::move(refusal);
}

void SweepState::count(const std::vector<Deletion>& outcomes) {
  const std::scoped_lock lock(mutex_);
  for (const Deletion& deletion : outcomes) {
    heimdall::count(report_.figures, deletion.outcome, deletion.object.size_bytes);
    report_.in_doubt += deletion.outcome == Outcome::in_doubt ? 1 : 0;
    if (deletion.outcome == Outcome::failed && report_.first_failure.empty()) report_.first_failure = deletion.error;
  }
  report_.untouched -= outcomes.size();
}

void SweepState::spent(std::chrono::nanoseconds SweepTimes::*stage, std::chrono::nanoseconds time) {
  const std::scoped_lock lock(mutex_);
  report_.times.*stage += time;
}

void SweepState::doubt(InDoubt more) {
  const std::scoped_lock lock(mutex_);
  in_doubt_.last_sent = std::max(in_doubt_.last_sent, more.last_sent);
  std::ranges::move(more.objects, std::back_inserter(in_doubt_.objects));
  std::ranges::move(more.why, std::back_inserter(in_doubt_.why));
}

std::size_t SweepState::in_doubt() const {
  const std::scoped_lock lock(mutex_);
  return in_doubt_.objects.size();
}

SweepState::InDoubt SweepState::take_in_doubt() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(in_doubt_, InDoubt{{}, {}, in_doubt_.last_sent});
}

SweepReport SweepState::report() const {
  const std::scoped_lock lock(mutex_);
  return report_;
}

}  // namespace heimdall
