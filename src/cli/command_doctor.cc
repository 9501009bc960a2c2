#include "base/format.h"
#include "base/text.h"
#include "cli/commands.h"

namespace heimdall {

ExitCode command_doctor(CommandContext& context) {
  ExitCode exit = ExitCode::ok;
  const auto config = load(context, exit);
  if (!config) return exit;
  std::uint64_t warnings = 0;
  std::uint64_t failures = 0;
  const DoctorRequest request{context.options.buckets, context.options.probe == Switch::on ? Probe::yes : Probe::no};
  doctor(*config, request, context.clock, context.progress, [&](const Check& check) {
    warnings += check.status == Check::Status::warning ? 1 : 0;
    failures += check.status == Check::Status::failed ? 1 : 0;
    context.output.check(check);
  }, context.stop);
  if (context.stop.stop_requested()) return fail(context, {ErrorCode::cancelled, "doctor was interrupted"});
  if (failures > 0) {
    return fail(context, {ErrorCode::failed_precondition, format("doctor found {}", count_of(failures, "problem")),
                          "the fix stands below each FAIL line"}, ExitCode::doctor);
  }
  context.output.note(warnings == 0 ? "All is well." : format("{}, no failure.", count_of(warnings, "warning")));
  context.output.done();
  return ExitCode::ok;
}

}  // namespace heimdall
