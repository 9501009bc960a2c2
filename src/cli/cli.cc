#include "cli/cli.h"

#include <cstdio>
#include <cstring>
#include <exception>
#include <optional>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/service_signals.h"
#include "cli/signals.h"
#include "cli/standard_output.h"
#include "cli/terminal_progress.h"

namespace heimdall {

namespace {

// `signals` are there for `serve`.
ExitCode run_command(CommandContext& context, std::optional<ServiceSignals>& signals) {
  switch (context.options.command) {
    case Command::doctor: return command_doctor(context);
    case Command::scan:
    case Command::plan: return command_scan(context);
    case Command::stats: return context.options.history == Switch::on ? command_stats_history(context) : command_scan(context);
    case Command::show: return command_show(context);
    case Command::apply: return command_apply(context);
    case Command::recover: return command_recover(context);
    case Command::explain: return command_explain(context);
    case Command::runs: return command_runs(context);
    case Command::schedules: return command_schedules(context);
    case Command::serve: return command_serve(context, *signals);
  }
  return ExitCode::usage;
}

bool sweeps(const Options& options) { return options.command == Command::apply && options.dry_run == Switch::off; }

ExitCode print_usage(const Usage& usage, bool json) {
  if (usage.exit_code == 0) {
    print_out(usage.text);
  } else if (json) {
    const auto output = make_json_output();
    output->begin();
    output->error({ErrorCode::invalid_argument, usage.text, "see heimdall-storage --help"});
  } else {
    std::fputs(usage.text.c_str(), stderr);
  }
  return static_cast<ExitCode>(usage.exit_code);
}

ExitCode run(int argc, const char* const* argv) {
  bool json = false;
  for (int i = 1; i < argc; ++i) json = json || std::strcmp(argv[i], "--json") == 0;
  const auto options = parse_command_line(argc, argv);
  if (!options) return print_usage(options.error(), json);

  // Before the first line: its reader may be gone already.
  std::optional<ServiceSignals> signals;
  std::stop_token stop;
  if (options->command == Command::serve) signals.emplace();
  else stop = stop_on_signals(sweeps(*options) ? StopMeans::finish_batch : StopMeans::give_up);
  const auto output = options->format == Format::json ? make_json_output() : make_text_output();
  output->begin();
  TerminalProgress progress(options->quiet == Switch::on ? TerminalProgress::Style::none : TerminalProgress::style_of_stderr());
  SystemClock clock;
  CommandContext context{*options, *output, progress, clock, stop};
  try {
    return run_command(context, signals);
  } catch (const std::exception& error) {
    // Only bugs and a lack of memory come here. The journal holds what was sent.
    output->error({ErrorCode::internal, error.what(), "if it is not a lack of memory, please report this; what an apply had sent is in the journal"});
    return ExitCode::failure;
  }
}

}  // namespace

int run_cli(int argc, const char* const* argv) {
  open_standard_streams();
  return static_cast<int>(with_output_checked(run(argc, argv)));
}

}  // namespace heimdall
