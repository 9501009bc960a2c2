#include <algorithm>
#include <vector>

#include "cli/commands.h"

namespace heimdall {

namespace {

std::vector<UpcomingRun> upcoming(const std::vector<ScheduleConfig>& schedules, Timestamp from, std::uint64_t count) {
  std::vector<UpcomingRun> runs;
  for (const ScheduleConfig& schedule : schedules) {
    Timestamp at = from;
    for (std::uint64_t i = 0; i < count; ++i) {
      at = schedule.timing.next_after(at);
      runs.push_back({schedule.name, schedule.task, at, schedule.timing.local_text(at), schedule.timing.time_zone()});
    }
  }
  std::ranges::stable_sort(runs, {}, &UpcomingRun::at);
  return runs;
}

}  // namespace

ExitCode command_schedules(CommandContext& context) {
  ExitCode exit = ExitCode::ok;
  const auto config = load(context, exit);
  if (!config) return exit;
  if (config->schedules.empty()) {
    context.output.note("No schedule is configured. One looks like this, in the configuration:");
    context.output.note("schedules: [{name: nightly, task: cleanup, cron: \"0 3 * * *\", time_zone: UTC}]");
  } else {
    const Timestamp from = context.options.from.value_or(context.clock.now());
    context.output.schedules(config->schedules, upcoming(config->schedules, from, context.options.count));
  }
  context.output.done();
  return ExitCode::ok;
}

}  // namespace heimdall
