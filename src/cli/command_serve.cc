#include <unistd.h>

#include "base/line_log.h"
#include "cli/commands.h"
#include "cli/service_signals.h"
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
Config with_options(Config config, const Options& options) {
  if (!options.listen) return config;
  if (!config.http) config.http.emplace();
  config.http->listen = *options.listen;
  return config;
}

}  // namespace

ExitCode command_serve(CommandContext& context, ServiceSignals& signals) {
  ExitCode exit = ExitCode::ok;
  auto config = load(context, exit);
  if (!config) return exit;
  LineLog log(STDERR_FILENO, log_options(context.options), context.clock);
  const auto served = serve({.config = with_options(std::move(*config), context.options),
                             .reload = [&]() -> Result<Config> {
                               TRY_ASSIGN(Config changed, load_as_asked(context.options));
                               return with_options(std::move(changed), context.options);
                             },
                             .clock = context.clock,
                             .log = log,
                             .environment = process_environment(),
                             .next_command = [&](std::chrono::milliseconds at_most) { return signals.next(at_most); }});
  return served ? ExitCode::ok : fail(context, served.error());
}

}  // namespace heimdall
