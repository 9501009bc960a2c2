#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include <nlohmann/json.hpp>

#include "app/operations.h"
#include "app/output_path.h"
#include "base/format.h"
#include "base/ids.h"
#include "base/text.h"
#include "cli/commands.h"
#include "io/file.h"

namespace heimdall {

namespace {

// The file of `scan --dangling`: JSON Lines. It exists only if it is whole; destroyed unfinished it leaves nothing behind.
class DanglingFile {
 public:
  static Result<DanglingFile> create(const std::string& path) {
    // A name that nobody can know before, and nothing that is there is touched.
    std::string temporary = format("{}.tmp-{:016x}", path, random_u64());
    TRY_ASSIGN(UniqueFd fd, open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, "file of dangling references", 0666));
    return DanglingFile(path, std::move(temporary), std::move(fd));
  }
  DanglingFile(DanglingFile&& other) noexcept
      : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, {})), fd_(std::move(other.fd_)) {}
  DanglingFile& operator=(DanglingFile&&) = delete;
  ~DanglingFile() {
    if (!temporary_.empty()) unlink(temporary_.c_str());
  }

  Result<void> add(const std::string& bucket, const KeyReference& reference) {
    nlohmann::ordered_json line = {{"type", "dangling"}, {"bucket", bucket}};
    const bool utf8 = is_utf8(reference.key);
    line[utf8 ? "key" : "key_base64"] = utf8 ? std::string(reference.key) : to_base64(reference.key);
    line["reference"] = reference.value;
    line["source"] = reference.source;
    return write_all(fd_.get(), line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n",
                     "file of dangling references");
  }

  Result<void> finish() {
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return system_error(errno, format("cannot write '{}'", path_));
    temporary_.clear();
    return {};
  }

 private:
  DanglingFile(std::string path, std::string temporary, UniqueFd fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}
  std::string path_;
  std::string temporary_;  // empty once finished
  UniqueFd fd_;
};

// Before anything is contacted: nobody should wait for a scan whose result has no place.
Result<void> check_output(const Options& options, const Config& config) {
  if (options.command == Command::plan) return check_output_path(config, *options.file, OutputKind::plan);
  return options.dangling ? check_output_path(config, *options.dangling, OutputKind::dangling) : Result<void>();
}

std::string_view name_of(Command command) {
  return command == Command::plan ? "plan" : command == Command::stats ? "stats" : "scan";
}

void say_what_is_next(CommandContext& context, const RunOutcome& outcome) {
  std::uint64_t due = 0;
  for (const auto& [bucket, figures] : outcome.report.buckets) due += figures.due_objects;
  const bool planned = outcome.plan.has_value();
  if (planned && outcome.plan->candidates() > 0) {
    const std::string& file = *context.options.file;
    context.output.note(format("Next: heimdall-storage show {0}; heimdall-storage apply {0}", file));
  } else if (due > 0 && !planned) {
    context.output.note("Next: heimdall-storage plan -o FILE");
  } else if (due == 0) {
    context.output.note(why_nothing_is_due(outcome.report, "plan"));
  }
}

// Statistics tell how things stand; whether anything may be deleted is for scan, plan and apply to say.
ExitCode finish_stats(CommandContext& context, const HealthThresholds& thresholds, RunOutcome outcome) {
  if (outcome.stage == RunOutcome::Stage::running) {
    for (const Refusal& refusal : outcome.overridden) context.progress.warn(format("[{}] {}", name_of(refusal.guard), refusal.message));
    outcome.overridden.clear();
    context.output.health(outcome.report, thresholds);
  }
  return finish_run(context, outcome);
}

}  // namespace

ExitCode command_scan(CommandContext& context) {
  const Options& options = context.options;
  ExitCode exit = ExitCode::ok;
  const auto workspace = open_workspace(context, exit);
  if (workspace == nullptr) return exit;

  if (auto checked = check_output(options, workspace->config()); !checked) return fail(context, checked.error(), ExitCode::usage);

  ScanRequest request;
  request.selection = {options.ignore_grace == Switch::on ? Selection::Grace::ignore : Selection::Grace::respect, options.limit};
  if (options.command == Command::plan) request.plan_path = *options.file;
  std::optional<DanglingFile> dangling;
  if (options.dangling) {
    auto created = DanglingFile::create(*options.dangling);
    if (!created) return fail(context, created.error(), ExitCode::failure);
    dangling.emplace(std::move(*created));
    request.on_scanned = [&](const ScanTarget& target, const ReferenceSnapshot& snapshot) {
      return visit_dangling(target.store, target.sources, snapshot,
                            [&](const KeyReference& found) { return dangling->add(target.policy.name, found); }, context.stop);
    };
  }

  RunContext run{new_run_id(context.clock), std::string(name_of(options.command)), workspace->state(), context.clock,
                 context.progress, context.stop, options.accepted};
  if (options.command == Command::stats) return finish_stats(context, workspace->config().health, take_stats(*workspace, run));
  RunOutcome outcome = scan_buckets(*workspace, request, run);
  if (dangling && !outcome.unlisted.empty()) {
    context.progress.warn(format("'{}' was not written: a part of a bucket could not be listed, so nobody knows which objects are not there", *options.dangling));
  } else if (dangling && !outcome.error) {
    if (auto finished = dangling->finish(); !finished) outcome.error = finished.error();
  }
  exit = finish_run(context, outcome);
  if (!outcome.error && outcome.refusals.empty()) say_what_is_next(context, outcome);
  const bool not_empty = outcome.plan && outcome.plan->candidates() > 0;
  if (exit == ExitCode::ok && options.detailed_exitcode == Switch::on && not_empty) return ExitCode::plan_not_empty;
  return exit;
}

}  // namespace heimdall
