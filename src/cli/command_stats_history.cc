#include "base/format.h"
#include "cli/commands.h"

namespace heimdall {

ExitCode command_stats_history(CommandContext& context) {
  ExitCode exit = ExitCode::ok;
  const auto workspace = open_workspace(context, exit);
  if (workspace == nullptr) return exit;
  for (BucketWorkspace& bucket : workspace->buckets()) {
    const std::string& name = bucket.policy().name;
    auto days = workspace->state().bucket_history(name, Timestamp{});
    if (!days) return fail(context, days.error());
    if (days->empty()) {
      context.output.note(format("There is no history of '{0}' yet: each day on which a complete scan began adds a point. "
                                 "Next: heimdall-storage stats --bucket {0}", name));
    } else {
      context.output.history(name, *days);
    }
  }
  context.output.done();
  return ExitCode::ok;
}

}  // namespace heimdall
