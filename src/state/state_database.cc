#include "state/state_database.h"

#include <sys/stat.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "state/transaction.h"

namespace heimdall {

namespace {

constexpr std::uintmax_t kLeastRoom = std::uintmax_t{4} << 20;  // bytes: some batches of a journal

// nullopt: there is no file, or nobody can look.
std::optional<std::pair<dev_t, ino_t>> file_at(const std::filesystem::path& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return std::pair(info.st_dev, info.st_ino);
}

}  // namespace

Result<StateDatabase::Opened> StateDatabase::open(const StateDirectory& directory, const Clock& clock) {
  TRY_ASSIGN(OpenDatabase opened, open_database(directory, clock));
  std::string warning = std::move(opened.warning);
  return Opened{std::unique_ptr<StateDatabase>(new StateDatabase(directory, std::move(opened), clock)), std::move(warning)};
}

StateDatabase::StateDatabase(const StateDirectory& directory, OpenDatabase opened, const Clock& clock)
    : directory_(directory), file_(file_at(directory.database())), opened_(std::move(opened)), journal_(opened_.db, clock), history_(opened_.db, clock) {}

StateDatabase::~StateDatabase() { (void)journal_.flush(); }

template <class T>
Result<T> StateDatabase::explained(Result<T> result) {
  if (result) return result;
  Error error = with_context(result.error(), format("state database '{}'", directory_.database().string()));
  if (error.code == ErrorCode::corrupt) {
    suspect_damage(directory_);
    error.hint =
        "stop every heimdall-storage that uses this state directory; the next start checks the file and sets it aside if it is "
        "damaged";
  }
  return error;
}

Result<void> StateDatabase::mark_interrupted_runs() {
  const std::lock_guard lock(mutex_);
  return explained(history_.mark_interrupted_runs(directory_));
}

Result<void> StateDatabase::intend(std::string_view run_id, std::string_view bucket, std::string_view bucket_identity,
                                   std::span<const ObjectMeta> objects) {
  return intents_.ask({run_id, bucket, bucket_identity, objects});
}

std::vector<Result<void>> StateDatabase::intend_all(std::span<const JournalTable::Intents> batches) {
  const std::lock_guard lock(mutex_);
  return {batches.size(), explained(journal_.intend(batches))};
}

Result<void> StateDatabase::record(std::string_view run_id, std::span<const Deletion> deletions) {
  const std::lock_guard lock(mutex_);
  return explained(journal_.record(run_id, deletions));
}

Result<void> StateDatabase::flush() {
  const std::lock_guard lock(mutex_);
  return explained(journal_.flush());
}

Result<std::vector<InDoubt>> StateDatabase::in_doubt(std::string_view bucket_identity) {
  const std::lock_guard lock(mutex_);
  return explained(journal_.in_doubt(bucket_identity));
}

Result<void> StateDatabase::deletions(std::string_view run_id, const std::function<Result<void>(const Deletion&)>& visit) {
  std::int64_t after = 0;
  for (;;) {
    std::vector<Deletion> page;
    {
      const std::lock_guard lock(mutex_);
      TRY_ASSIGN(page, explained(journal_.next_deletions(run_id, after)));
    }
    if (page.empty()) return {};
    for (const Deletion& deletion : page) TRY(visit(deletion));
  }
}

Result<std::vector<Deletion>> StateDatabase::next_deletions(std::string_view run_id, std::int64_t& after, std::size_t limit) {
  const std::lock_guard lock(mutex_);
  return explained(journal_.next_deletions(run_id, after, limit));
}

Result<void> StateDatabase::save_run(const RunReport& report) {
  const std::lock_guard lock(mutex_);
  return explained(history_.save_run(report));
}

Result<std::optional<RunReport>> StateDatabase::run(std::string_view run_id) {
  const std::lock_guard lock(mutex_);
  return explained(history_.run(run_id));
}

Result<std::optional<RunReport>> StateDatabase::run_without_waiting(std::string_view run_id) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return Error{ErrorCode::unavailable, "the state database is in use just now"};
  return explained(history_.run(run_id));
}

Result<std::vector<RunReport>> StateDatabase::runs(std::size_t limit) { return runs(RunQuery{.limit = limit}); }

Result<std::vector<RunReport>> StateDatabase::runs(const RunQuery& query) {
  const std::lock_guard lock(mutex_);
  auto runs = history_.runs(query);
  // No fault of the file: the message is for the user as it stands.
  if (!runs && runs.error().code == ErrorCode::not_found) return runs;
  return explained(std::move(runs));
}

Result<std::vector<std::string>> StateDatabase::killed_runs() {
  const std::lock_guard lock(mutex_);
  return explained(history_.killed_runs());
}

Result<std::vector<Attempts>> StateDatabase::attempts() {
  const std::lock_guard lock(mutex_);
  return explained(history_.attempts());
}

Result<std::optional<Baseline>> StateDatabase::baseline(std::string_view bucket) {
  const std::lock_guard lock(mutex_);
  return explained(history_.baseline(bucket));
}

Result<void> StateDatabase::save_baseline(std::string_view bucket, const Baseline& baseline) {
  const std::lock_guard lock(mutex_);
  return explained(history_.save_baseline(bucket, baseline));
}

Result<std::optional<BucketFigures>> StateDatabase::last_figures(std::string_view bucket) {
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(const auto measured, explained(history_.last_measured(bucket)));
  return measured ? std::optional(measured->figures) : std::nullopt;
}

Result<std::optional<MeasuredFigures>> StateDatabase::last_measured(std::string_view bucket) {
  const std::lock_guard lock(mutex_);
  return explained(history_.last_measured(bucket));
}

Result<void> StateDatabase::check_in_place() const {
  if (file_at(directory_.database()) == file_) return {};
  return Error{ErrorCode::failed_precondition,
               format("the state database '{}' is not the file that was opened: it was removed or replaced, or its file system is gone",
                      directory_.database().string()),
               "put it back, or start the service again: nothing is deleted whose outcome would be lost"};
}

Result<void> StateDatabase::check_writable() {
  TRY(check_in_place());
  {
    const std::lock_guard lock(mutex_);
    auto begun = Transaction::begin(opened_.db);
    if (!begun) return explained(Result<void>(std::move(begun).error()));
    TRY(explained(begun->commit()));
  }
  // An empty transaction writes nothing, so a full disk does not show.
  std::error_code failure;
  const std::filesystem::space_info space = std::filesystem::space(directory_.root(), failure);
  if (failure) return system_error(failure.value(), format("cannot look at the file system of '{}'", directory_.root().string()));
  if (space.available < kLeastRoom) {
    return Error{ErrorCode::internal, format("the file system of the state directory '{}' has {} left", directory_.root().string(), human_bytes(space.available)),
                 "make room there: nothing is deleted while outcomes cannot be written"};
  }
  return {};
}

Result<void> StateDatabase::use_plan(std::string_view plan_digest, std::string_view run_id) {
  const std::lock_guard lock(mutex_);
  auto used = history_.use_plan(plan_digest, run_id);
  // No fault of the file: the message is for the user as it stands.
  if (!used && used.error().code == ErrorCode::failed_precondition) return used;
  return explained(std::move(used));
}

Result<std::optional<std::string>> StateDatabase::plan_user(std::string_view plan_digest) {
  const std::lock_guard lock(mutex_);
  return explained(history_.plan_user(plan_digest));
}

Result<std::optional<ClockAnchor>> StateDatabase::clock_anchor() {
  const std::lock_guard lock(mutex_);
  return explained(history_.clock_anchor());
}

Result<void> StateDatabase::save_clock_anchor(const ClockAnchor& anchor) {
  const std::lock_guard lock(mutex_);
  return explained(history_.save_clock_anchor(anchor));
}

Result<std::vector<BucketDay>> StateDatabase::bucket_history(std::string_view bucket, Timestamp since) {
  const std::lock_guard lock(mutex_);
  return explained(history_.bucket_history(bucket, since));
}

Result<std::optional<Timestamp>> StateDatabase::schedule_mark(std::string_view schedule) {
  const std::lock_guard lock(mutex_);
  return explained(history_.schedule_mark(schedule));
}

Result<void> StateDatabase::save_schedule_mark(std::string_view schedule, Timestamp due) {
  const std::lock_guard lock(mutex_);
  return explained(history_.save_schedule_mark(schedule, due));
}

Result<Pruned> StateDatabase::prune(Timestamp now, std::chrono::nanoseconds keep_runs, std::stop_token stop) {
  // Long enough for those who wait for the mutex, or (other processes) for the file: these look again after a few milliseconds.
  constexpr std::chrono::milliseconds kPause{3};
  std::unique_lock lock(mutex_);
  Pruning pruning(opened_.db, now, keep_runs);
  while (!stop.stop_requested()) {
    TRY_ASSIGN(const bool more, explained(pruning.step()));
    if (!more) break;
    pause_.wait_for(lock, stop, kPause, [] { return false; });
  }
  return pruning.pruned();
}

}  // namespace heimdall
