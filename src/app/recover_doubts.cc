#include "app/recover_doubts.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "pipeline/sweep/recover.h"

namespace heimdall {

namespace {

class Recovery {
 public:
  Recovery(Workspace& workspace, RunContext& context, const std::function<bool(const std::string&)>& takes)
      : workspace_(workspace), context_(context), takes_(takes) {}

  Result<DoubtReport> run() && {
    TRY_ASSIGN(const std::vector<InDoubt> doubts, workspace_.state().in_doubt(""));
    std::set<BucketWorkspace*> buckets;
    for (const InDoubt& doubt : doubts) {
      runs_.insert(doubt.run_id);
      if (BucketWorkspace* const bucket = taken(doubt.bucket)) buckets.insert(bucket);
    }
    for (BucketWorkspace* const bucket : buckets) recover(*bucket);
    TRY(tell_what_is_left());
    TRY(recount_killed_runs(workspace_.state(), workspace_.state(), workspace_.clock()));
    return std::move(report_);
  }

 private:
  BucketWorkspace* taken(const std::string& name) const {
    BucketWorkspace* const bucket = workspace_.find(name);
    return bucket != nullptr && (!takes_ || takes_(bucket->policy().name)) ? bucket : nullptr;
  }

  void recover(BucketWorkspace& bucket) {
    auto held = workspace_.hold(bucket);
    auto recovered = held ? workspace_.recover_bucket(*held, context_.stop, context_.journal) : Result<RecoverReport>(std::move(held).error());
    if (!recovered) {
      why_.emplace(&bucket, std::move(recovered).error());
      return;
    }
    std::ranges::move(recovered->settled, std::back_inserter(report_.settled));
    if (recovered->still_in_doubt > 0) why_.emplace(&bucket, Error{ErrorCode::in_doubt, "the store cannot say yet", "run `recover` until it succeeds"});
  }

  // Of the runs that were there when we came: a sweep that somebody began meanwhile looks after itself.
  Result<void> tell_what_is_left() {
    TRY_ASSIGN(const std::vector<InDoubt> doubts, workspace_.state().in_doubt(""));
    std::map<std::string, std::uint64_t> counts;
    for (const InDoubt& doubt : doubts) {
      if (runs_.contains(doubt.run_id)) ++counts[doubt.bucket];
    }
    for (const auto& [bucket, objects] : counts) report_.left.push_back({bucket, objects, why(bucket)});
    return {};
  }

  Error why(const std::string& bucket) const {
    BucketWorkspace* const known = taken(bucket);
    if (known != nullptr) {
      if (const auto found = why_.find(known); found != why_.end()) return found->second;
      return {ErrorCode::in_doubt, "the store now has another bucket of that name than the requests went to", "configure the one of then until they are looked up"};
    }
    if (workspace_.config().find_bucket(bucket) != nullptr) return {ErrorCode::in_doubt, "the bucket was not chosen", "run `recover` without --bucket"};
    return {ErrorCode::in_doubt, "no bucket of that name is configured any more",
            "configure it again (with `mode: report`, if it is to lose nothing) until they are looked up"};
  }

  Workspace& workspace_;
  RunContext& context_;
  const std::function<bool(const std::string&)>& takes_;
  std::set<std::string> runs_;
  std::map<BucketWorkspace*, Error> why_;
  DoubtReport report_;
};

}  // namespace

std::optional<Error> DoubtReport::error() const {
  if (left.empty()) return std::nullopt;
  std::string message;
  for (const Left& one : left) {
    message += format("{}{} in bucket '{}' {} still in doubt: {}", message.empty() ? "" : "; ", count_of(one.objects, "object"), printable(one.bucket),
                      one.objects == 1 ? "is" : "are", one.why.message);
  }
  const ErrorCode first = left.front().why.code;
  const bool same = std::ranges::all_of(left, [&](const Left& one) { return one.why.code == first; });
  // What others have in hand, and what we were told to leave, is no failure of ours.
  const bool is_kept = first == ErrorCode::locked || first == ErrorCode::cancelled;
  return Error{same && (is_kept || settled.empty()) ? first : ErrorCode::in_doubt, std::move(message), left.front().why.hint};
}

Result<DoubtReport> recover_doubts(Workspace& workspace, RunContext& context, const std::function<bool(const std::string&)>& takes) {
  return Recovery(workspace, context, takes).run();
}

}  // namespace heimdall
