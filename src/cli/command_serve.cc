#include "cli/command_serve.h"

#include "base/line_log.h"
#include "cli/service_signals.h"
#include "daemon/service.h"

namespace heimdall {

ExitCode command_serve(CommandContext& context, ServiceSignals& signals) {
  ExitCode exit = ExitCode::ok;
  auto config = load(context, exit);
  if (!config) return exit;
  Metrics metrics(context.clock.now());
  LineLog log({.descriptor = 2, .format = context.options.log_format, .level = context.options.log_level}, context.clock,
              [&](LogLevel level) { metrics.log_line(level); });
  auto served = serve({.config = std::move(*config),
                       .reload = [&] { return load_config_of(context); },
                       .clock = context.clock,
                       .log = log,
                       .metrics = metrics,
                       .environment = process_environment(),
                       .next_command = [&](std::chrono::milliseconds at_most) { return signals.next(at_most); }});
  return served ? ExitCode::ok : fail(context, served.error());
}

}  // namespace heimdall
