#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/line_log.h"
#include "cli/commands.h"
#include "cli/service_signals.h"
#include "cli/standard_output.h"
#include "daemon/service.h"

namespace heimdall {

namespace {

LineLog::Options log_options(const Options& options) {
  LineLog::Options log = LineLog::suited_to(STDERR_FILENO, process_environment());
  if (options.log_format == LogFormat::json) log.format = LineLog::Format::json;
  log.level = options.log_level;
  return log;
}

// What the command line says goes before what the file says.
Result<Config> with_options(Config config, const Options& options) {
  const auto variable = process_environment()("HEIMDALL_STORAGE_LISTEN");
  const std::optional<std::string> listen = options.listen ? options.listen : variable;
  if (!listen || listen->empty()) return config;
  TRY(check_listen_address(*listen));
  if (!config.http) config.http.emplace();
  config.http->listen = *listen;
  return config;
}

// Whoever reads the log by a program reads this by it, too.
ExitCode refuse(CommandContext& context, Log& log, const Error& error, ExitCode code) {
  if (context.options.log_format != LogFormat::json) return fail(context, error, code);
  log.error("service.refused", "the service does not start: " + error.message, {{"hint", error.hint}});
  return code;
}

}  // namespace

ExitCode command_serve(CommandContext& context, ServiceSignals& signals) {
  LineLog log(STDERR_FILENO, log_options(context.options), context.clock);
  auto config = load_as_asked(context.options);
  if (!config) return refuse(context, log, config.error(), ExitCode::configuration);
  auto asked = with_options(std::move(*config), context.options);
  if (!asked) return refuse(context, log, with_context(std::move(asked).error(), "HEIMDALL_STORAGE_LISTEN"), ExitCode::configuration);
  const auto served = serve({.config = std::move(*asked),
                             .reload = [&]() -> Result<Config> {
                               TRY_ASSIGN(Config changed, load_as_asked(context.options));
                               return with_options(std::move(changed), context.options);
                             },
                             .clock = context.clock,
                             .log = log,
                             .environment = process_environment(),
                             .next_command = [&](std::chrono::milliseconds at_most) { return signals.next(at_most); }});
  if (!served) return refuse(context, log, served.error(), exit_code_of(served.error().code));
  context.output.done();
  std::fflush(nullptr);
  // A look at a store that hangs may still be under way on a thread of its own: nothing is torn down under it.
  std::_Exit(static_cast<int>(with_output_checked(ExitCode::ok)));
}

}  // namespace heimdall
