#include "cli/commands.h"

namespace heimdall {

ExitCode command_stats_history(CommandContext& context) {
  return fail(context, {ErrorCode::failed_precondition, "`stats --history` is not part of this build"});
}

}  // namespace heimdall
