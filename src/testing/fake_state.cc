#include "testing/fake_state.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"

namespace heimdall::testing {

namespace {

std::string place_name(std::string_view run_id, std::string_view bucket, std::string_view key) {
  return format("{}\n{}\n{}", run_id, bucket, key);
}

}  // namespace

void FakeJournal::crash() {
  const std::lock_guard lock(mutex_);
  lines_ = durable_;
  dirty_.clear();
  std::erase_if(places_, [&](const auto& place) { return place.second >= lines_.size(); });
  crashed_at_ = clock_.now();
}

void FakeJournal::fail_writes(std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  write_error_ = std::move(error);
  writes_until_error_ = 0;
}

void FakeJournal::fail_writes_after(std::size_t n, Error error) {
  const std::lock_guard lock(mutex_);
  write_error_ = std::move(error);
  writes_until_error_ = n - 1;
}

std::vector<FakeJournal::Line> FakeJournal::durable() const {
  const std::lock_guard lock(mutex_);
  return durable_;
}

std::optional<Outcome> FakeJournal::durable_outcome(std::string_view key) const {
  const std::lock_guard lock(mutex_);
  for (auto line = durable_.rbegin(); line != durable_.rend(); ++line) {
    if (line->deletion.object.key.bytes() == key) return line->deletion.outcome;
  }
  return std::nullopt;
}

std::size_t FakeJournal::intents() const {
  const std::lock_guard lock(mutex_);
  return intents_;
}

Result<void> FakeJournal::check_write() {
  if (!write_error_) return {};
  if (writes_until_error_ == 0) return *write_error_;
  --writes_until_error_;
  return {};
}

void FakeJournal::make_durable() {
  durable_.resize(lines_.size());
  for (const std::size_t place : dirty_) durable_[place] = lines_[place];
  dirty_.clear();
}

FakeJournal::Line& FakeJournal::line_of(std::string_view run_id, std::string_view bucket, const ObjectMeta& object) {
  const std::string name = place_name(run_id, bucket, object.key.bytes());
  const auto [first, last] = places_.equal_range(name);
  const auto found = std::find_if(first, last, [&](const auto& place) { return lines_[place.second].deletion.object == object; });
  const std::size_t place = found != last ? found->second : lines_.size();
  if (found == last) {
    places_.emplace(name, place);
    lines_.push_back({std::string(run_id), "", {std::string(bucket), object, Outcome::in_doubt, ""}, {}, {}});
  }
  dirty_.insert(place);
  return lines_[place];
}

Result<void> FakeJournal::intend(std::string_view run_id, std::string_view bucket, std::string_view bucket_identity,
                                 std::span<const ObjectMeta> objects) {
  const std::lock_guard lock(mutex_);
  TRY(check_write());
  const auto [sweep, is_new] = identities_.try_emplace({std::string(run_id), std::string(bucket)}, bucket_identity);
  if (!is_new && sweep->second != bucket_identity) {
    return Error{ErrorCode::failed_precondition, format("bucket '{}' is another physical bucket than earlier", bucket)};
  }
  for (const ObjectMeta& object : objects) {
    Line& line = line_of(run_id, bucket, object);
    line.bucket_identity = bucket_identity;
    line.intended_at = clock_.now();
    line.recorded_at.reset();
    line.deletion.outcome = Outcome::in_doubt;
    line.deletion.error.clear();
  }
  make_durable();
  ++intents_;
  return {};
}

Result<void> FakeJournal::record(std::string_view run_id, std::span<const Deletion> deletions) {
  const std::lock_guard lock(mutex_);
  for (const Deletion& deletion : deletions) {
    Line& line = line_of(run_id, deletion.bucket, deletion.object);
    line.deletion = deletion;
    line.recorded_at = clock_.now();
  }
  return {};
}

Result<void> FakeJournal::flush() {
  const std::lock_guard lock(mutex_);
  TRY(check_write());
  make_durable();
  return {};
}

Result<std::vector<InDoubt>> FakeJournal::in_doubt(std::string_view bucket_identity) {
  const std::lock_guard lock(mutex_);
  std::vector<InDoubt> result;
  for (const Line& line : lines_) {
    if (line.deletion.outcome != Outcome::in_doubt) continue;
    if (!bucket_identity.empty() && line.bucket_identity != bucket_identity) continue;
    const Timestamp intended = line.intended_at.value_or(Timestamp{});
    const Timestamp sent_at = line.recorded_at.value_or(std::max(intended, crashed_at_.value_or(intended)));
    result.push_back({line.run_id, line.deletion.bucket, line.bucket_identity, line.deletion.object, sent_at});
  }
  return result;
}

Result<void> FakeJournal::deletions(std::string_view run_id, const std::function<Result<void>(const Deletion&)>& visit) {
  std::vector<Line> lines;
  {
    const std::lock_guard lock(mutex_);
    lines = lines_;
  }
  for (const Line& line : lines) {
    if (line.run_id == run_id) TRY(visit(line.deletion));
  }
  return {};
}

void FakeHistory::fail_writes(std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  write_error_ = std::move(error);
}

Result<void> FakeHistory::save_run(const RunReport& report) {
  const std::lock_guard lock(mutex_);
  if (write_error_) return *write_error_;
  runs_[report.run_id] = report;
  return {};
}

Result<std::optional<RunReport>> FakeHistory::run(std::string_view run_id) {
  const std::lock_guard lock(mutex_);
  const auto found = runs_.find(run_id);
  if (found == runs_.end()) return std::optional<RunReport>();
  return std::optional(found->second);
}

std::vector<RunReport> FakeHistory::newest_first() const {
  std::vector<RunReport> all;
  for (auto it = runs_.rbegin(); it != runs_.rend(); ++it) all.push_back(it->second);
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.started_at > b.started_at; });
  return all;
}

Result<std::vector<RunReport>> FakeHistory::runs(std::size_t limit) {
  const std::lock_guard lock(mutex_);
  std::vector<RunReport> all = newest_first();
  if (all.size() > limit) all.resize(limit);
  return all;
}

Result<std::vector<std::string>> FakeHistory::killed_runs() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> killed;
  for (const auto& [id, run] : runs_) {
    const bool deletes = run.command == "apply" || run.command == "cleanup";
    if (deletes && run.status == RunStatus::interrupted && !run.completed_at) killed.push_back(id);
  }
  return killed;
}

Result<std::optional<Baseline>> FakeHistory::baseline(std::string_view bucket) {
  const std::lock_guard lock(mutex_);
  const auto found = baselines_.find(bucket);
  if (found == baselines_.end()) return std::optional<Baseline>();
  return std::optional(found->second);
}

Result<void> FakeHistory::save_baseline(std::string_view bucket, const Baseline& baseline) {
  const std::lock_guard lock(mutex_);
  if (write_error_) return *write_error_;
  baselines_[std::string(bucket)] = baseline;
  return {};
}

Result<std::optional<BucketFigures>> FakeHistory::last_figures(std::string_view bucket) {
  const std::lock_guard lock(mutex_);
  for (const RunReport& report : newest_first()) {
    const auto found = report.buckets.find(std::string(bucket));
    if (found == report.buckets.end()) continue;
    if (report.scanned.contains(std::string(bucket))) return std::optional(found->second);
  }
  return std::optional<BucketFigures>();
}

Result<void> FakeHistory::use_plan(std::string_view plan_digest, std::string_view run_id) {
  const std::lock_guard lock(mutex_);
  if (write_error_) return *write_error_;
  const auto [entry, is_new] =
      used_plans_.try_emplace(std::string(plan_digest), std::string(run_id), clock_.now());
  if (is_new) return {};
  return Error{ErrorCode::failed_precondition,
               format("the plan was already used by run {} at {}", entry->second.first, rfc3339(entry->second.second)),
               "make a new one with `plan`: a plan works once"};
}

Result<std::optional<std::string>> FakeHistory::plan_user(std::string_view plan_digest) {
  const std::lock_guard lock(mutex_);
  const auto found = used_plans_.find(plan_digest);
  if (found == used_plans_.end()) return std::optional<std::string>();
  return std::optional(found->second.first);
}

Result<std::optional<ClockAnchor>> FakeHistory::clock_anchor() {
  const std::lock_guard lock(mutex_);
  return clock_anchor_;
}

Result<void> FakeHistory::save_clock_anchor(const ClockAnchor& anchor) {
  const std::lock_guard lock(mutex_);
  if (write_error_) return *write_error_;
  clock_anchor_ = anchor;
  return {};
}

}  // namespace heimdall::testing
