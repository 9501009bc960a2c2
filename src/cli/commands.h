#pragma once

#include <memory>
#include <stop_token>

#include "app/config/config.h"
#include "app/workspace.h"
#include "base/clock.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/output.h"
#include "ports/progress.h"

namespace heimdall {

class ServiceSignals;

// What every command needs; borrowed.
struct CommandContext {
  const Options& options;
  Output& output;
  Progress& progress;
  Clock& clock;
  std::stop_token stop;
};

// Each command: does its work, prints its results and its last line, and returns the process's exit status.
ExitCode command_doctor(CommandContext& context);
ExitCode command_scan(CommandContext& context);   // scan, plan and stats
ExitCode command_show(CommandContext& context);
ExitCode command_apply(CommandContext& context);
ExitCode command_recover(CommandContext& context);
ExitCode command_explain(CommandContext& context);
ExitCode command_runs(CommandContext& context);
ExitCode command_schedules(CommandContext& context);
ExitCode command_serve(CommandContext& context, ServiceSignals& signals);
ExitCode command_stats_history(CommandContext& context);  // stats --history; contacts nothing

// Prints the error as the last line.
ExitCode fail(CommandContext& context, const Error& error, ExitCode code);
ExitCode fail(CommandContext& context, const Error& error);  // with exit_code_of(error.code)

// Of a plan that is not taken.
ExitCode plan_exit_code(ErrorCode code);

// The configuration as --config, the environment and --state say; nothing is printed.
Result<Config> load_as_asked(const Options& options);
// The configuration as --config, the environment and --state say. On an error the last line is printed and `exit` set.
std::optional<Config> load(CommandContext& context, ExitCode& exit);
// The same, opened: its warnings are shown.
std::unique_ptr<Workspace> open_workspace(CommandContext& context, ExitCode& exit);

// Opens the plan that the command line names. The error says where a plan comes from.
Result<Plan> open_plan(const std::string& path);

// Why a run that found nothing due in `report`'s buckets did not, and what to do about it; a sentence. `command` is the one that can ignore grace.
std::string why_nothing_is_due(const RunReport& report, std::string_view command);

// Prints why a run never began, or refusals, unlisted ranges and the last line of a run; its exit status.
ExitCode finish_run(CommandContext& context, const RunOutcome& outcome);

}  // namespace heimdall
