#include "base/format.h"
#include "base/text.h"
#include "cli/commands.h"
#include "pipeline/sweep/recover.h"

namespace heimdall {

ExitCode command_show(CommandContext& context) {
  // Showing always works, on an expired or used plan, too, and needs no configuration.
  auto plan = open_plan(*context.options.file);
  if (!plan) {
    const bool damaged = plan.error().code == ErrorCode::corrupt;
    return fail(context, plan.error(), damaged ? ExitCode::plan_stale : ExitCode::failure);
  }
  context.output.plan(*plan);
  if (context.clock.now() > plan->expires()) context.output.note("It has expired: apply will not take it.");
  if (context.options.keys == Switch::on) {
    auto visited = plan->for_each([&](const BucketPlan& bucket, const Candidate& candidate) -> Result<void> {
      context.output.candidate(bucket, candidate);
      return {};
    });
    if (!visited) return fail(context, visited.error(), ExitCode::plan_stale);
  } else if (plan->candidates() > 0) {
    context.output.note(format("Next: heimdall-storage show --keys {0}; heimdall-storage apply {0}", *context.options.file));
  }
  context.output.done();
  return ExitCode::ok;
}

namespace {

// "s3://BUCKET/KEY", everything behind the bucket literal.
Result<std::pair<std::string, std::string>> split_object(const std::string& object) {
  constexpr std::string_view kScheme = "s3://";
  const std::size_t slash = object.starts_with(kScheme) ? object.find('/', kScheme.size()) : std::string::npos;
  if (slash == std::string::npos || slash == kScheme.size() || slash + 1 == object.size()) {
    return Error{ErrorCode::invalid_argument, format("'{}' names no object", printable(object)), "write s3://BUCKET/KEY"};
  }
  return std::pair(object.substr(kScheme.size(), slash - kScheme.size()), object.substr(slash + 1));
}

}  // namespace

ExitCode command_explain(CommandContext& context) {
  ExitCode exit = ExitCode::ok;
  std::vector<std::pair<std::string, std::string>> objects;
  for (const std::string& argument : context.options.arguments) {
    auto object = split_object(argument);
    if (!object) return fail(context, object.error(), ExitCode::usage);
    objects.push_back(std::move(*object));
  }
  const auto workspace = open_workspace(context, exit);
  if (workspace == nullptr) return exit;
  for (const auto& [name, key] : objects) {
    BucketWorkspace* const bucket = workspace->find(name);
    if (bucket == nullptr && workspace->config().find_bucket(name) != nullptr) {
      return fail(context, {ErrorCode::invalid_argument, format("bucket '{}' was not chosen", printable(name)), format("leave out --bucket, or say --bucket {}", name)},
                  ExitCode::usage);
    }
    if (bucket == nullptr) {
      std::string known;
      for (BucketWorkspace& entry : workspace->buckets()) known += (known.empty() ? "" : ", ") + entry.policy().name;
      return fail(context, {ErrorCode::invalid_argument, format("bucket '{}' is not configured", printable(name)),
                            format("the configured ones are: {}", known)}, ExitCode::usage);
    }
    auto reader = bucket->reader();
    if (!reader) return fail(context, reader.error());
    auto explanation = explain(**reader, bucket->sources(), bucket->policy(),
                               workspace->directory().ledger(bucket->policy().name), key, context.stop);
    if (!explanation) return fail(context, explanation.error());
    context.output.explanation(*explanation);
  }
  context.output.done();
  return ExitCode::ok;
}

namespace {

// The report of a run that is under way or was killed knows nothing of its deletions yet; the journal does.
Result<void> count_unfinished(std::span<RunReport> runs, StateDatabase& state) {
  for (RunReport& run : runs) {
    if (!run.completed_at) TRY(count_deletions(run, state));
  }
  return {};
}

}  // namespace

ExitCode command_runs(CommandContext& context) {
  ExitCode exit = ExitCode::ok;
  const auto workspace = open_workspace(context, exit);
  if (workspace == nullptr) return exit;
  StateDatabase& state = workspace->state();
  if (context.options.arguments.empty()) {
    constexpr std::uint64_t kDefaultRuns = 20;
    auto runs = state.runs(context.options.limit.value_or(kDefaultRuns));
    if (!runs) return fail(context, runs.error());
    if (auto counted = count_unfinished(*runs, state); !counted) return fail(context, counted.error());
    context.output.runs(*runs);
    context.output.done();
    return ExitCode::ok;
  }
  const std::string& id = context.options.arguments.front();
  auto run = state.run(id);
  if (!run) return fail(context, run.error());
  if (!*run) {
    return fail(context, {ErrorCode::invalid_argument, format("there is no run '{}'", printable(id)), "`runs` lists them"}, ExitCode::usage);
  }
  if (auto counted = count_unfinished(std::span(&**run, 1), state); !counted) return fail(context, counted.error());
  context.output.runs(std::span(&**run, 1));
  context.output.run_details(**run);
  if (!(*run)->error.empty()) context.output.note((*run)->error);
  auto visited = state.deletions(id, [&](const Deletion& deletion) -> Result<void> {
    context.output.deletion(deletion);
    return {};
  });
  if (!visited) return fail(context, visited.error());
  context.output.done();
  return ExitCode::ok;
}

}  // namespace heimdall
