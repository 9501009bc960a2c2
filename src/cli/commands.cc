#include "cli/commands.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "model/run_totals.h"

namespace heimdall {

ExitCode fail(CommandContext& context, const Error& error, ExitCode code) {
  context.output.error(error);
  return code;
}

ExitCode fail(CommandContext& context, const Error& error) { return fail(context, error, exit_code_of(error.code)); }

// It is stale, unless it is the mode of the bucket that forbids it.
ExitCode plan_exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::corrupt:
    case ErrorCode::failed_precondition: return ExitCode::plan_stale;
    case ErrorCode::not_approved: return ExitCode::not_approved;
    case ErrorCode::not_found: return ExitCode::failure;
    default: return exit_code_of(code);
  }
}

namespace {

ExitCode exit_code_of(const Error& error, RunOutcome::Stage stage) {
  if (stage == RunOutcome::Stage::approving) return plan_exit_code(error.code);
  // Buckets that turn out to overlap are a mistake in the configuration.
  const bool overlap = stage == RunOutcome::Stage::opening && error.code == ErrorCode::invalid_argument;
  return overlap ? ExitCode::configuration : heimdall::exit_code_of(error.code);
}

}  // namespace

Result<Config> load_as_asked(const Options& options) {
  const Environment environment = process_environment();
  TRY_ASSIGN(const std::filesystem::path path, find_config(options.config, environment));
  TRY_ASSIGN(Config config, load_config(path, environment));
  if (options.state) TRY(use_state_directory(config, *options.state));
  if (options.null == Switch::on) {
    for (BucketConfig& bucket : config.buckets) {
      for (ReferenceConfig& reference : bucket.references) reference.line_end = ReferenceConfig::LineEnd::null;
    }
  }
  return config;
}

std::optional<Config> load(CommandContext& context, ExitCode& exit) {
  auto config = load_as_asked(context.options);
  if (config) return std::move(*config);
  exit = fail(context, config.error(), ExitCode::configuration);
  return std::nullopt;
}

std::unique_ptr<Workspace> open_workspace(CommandContext& context, ExitCode& exit) {
  auto config = load(context, exit);
  if (!config) return nullptr;
  for (const std::string& bucket : context.options.buckets) {
    if (config->find_bucket(bucket) != nullptr) continue;
    std::vector<std::string> known;
    for (const BucketConfig& entry : config->buckets) known.push_back(entry.policy.name);
    const auto near = nearest(bucket, known);
    exit = fail(context,
                {ErrorCode::invalid_argument, format("--bucket: '{}' is not in '{}'", printable(bucket), config->path.string()),
                 near ? format("did you mean '{}'?", *near) : std::string("name a configured bucket")},
                ExitCode::usage);
    return nullptr;
  }
  auto workspace = Workspace::open(std::move(*config), context.options.buckets, context.clock, nullptr, context.stop);
  if (!workspace) {
    exit = fail(context, workspace.error());
    return nullptr;
  }
  for (const std::string& warning : (*workspace)->warnings()) context.progress.warn(warning);
  return std::move(*workspace);
}

Result<Plan> open_plan(const std::string& path) {
  auto plan = Plan::open(path);
  if (!plan && plan.error().hint.empty()) {
    plan.error().hint = plan.error().code == ErrorCode::corrupt ? "make a new plan with `heimdall-storage plan -o FILE`"
                                                                : "name a file that `heimdall-storage plan -o FILE` wrote";
  }
  return plan;
}

std::string why_nothing_is_due(const RunReport& report, std::string_view command) {
  std::uint64_t in_grace = 0;
  std::uint64_t young = 0;
  std::optional<Timestamp> grace_ends;
  for (const auto& [bucket, figures] : report.buckets) {
    in_grace += figures.in_grace_objects;
    young += figures.young_objects;
    if (figures.grace_ends && (!grace_ends || *figures.grace_ends < *grace_ends)) grace_ends = figures.grace_ends;
  }
  if (in_grace > 0 && grace_ends) {
    return format("Nothing is due: {} in grace until {}; `{} --ignore-grace` takes them now.", with_thousands(in_grace), rfc3339(*grace_ends), command);
  }
  if (young > 0) return format("Nothing is due: {} {} younger than `min_age`.", with_thousands(young), young == 1 ? "is" : "are");
  return "Nothing is due: every object is referenced or protected.";
}

ExitCode finish_run(CommandContext& context, const RunOutcome& outcome) {
  if (outcome.error && outcome.stage != RunOutcome::Stage::running) return fail(context, *outcome.error, exit_code_of(*outcome.error, outcome.stage));
  for (const Refusal& refusal : outcome.overridden) context.output.overridden(refusal);
  for (const Refusal& refusal : outcome.refusals) context.output.refusal(refusal);
  for (const RangeFailure& failure : outcome.unlisted) context.output.unlisted(failure);
  const RunTotals totals = totals_of(outcome.report);
  if (outcome.error) {
    const bool interrupted = outcome.error->code == ErrorCode::cancelled;
    // What was deleted must not go untold: then the summary is the last line.
    if (totals.orphans_deleted == 0 && totals.deletion_failures == 0) return fail(context, *outcome.error);
    context.output.error(*outcome.error);
    context.output.summary(outcome.report);
    return interrupted ? ExitCode::interrupted : ExitCode::partial;
  }
  // Refusals and ranges stand on their own lines; that keys failed stands nowhere else.
  const bool keys_failed = totals.deletion_failures > 0 && outcome.refusals.empty() && outcome.unlisted.empty();
  if (keys_failed && !outcome.report.error.empty()) context.progress.warn(outcome.report.error);
  context.output.summary(outcome.report);
  if (!outcome.refusals.empty()) return totals.orphans_deleted == 0 ? ExitCode::refused : ExitCode::partial;
  return totals.deletion_failures > 0 || !outcome.unlisted.empty() ? ExitCode::partial : ExitCode::ok;
}

}  // namespace heimdall
