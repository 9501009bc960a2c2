#include "cli/commands.h"

namespace heimdall {

ExitCode command_serve(CommandContext& context) {
  return fail(context, {ErrorCode::failed_precondition, "`serve` is not part of this build"});
}

}  // namespace heimdall
