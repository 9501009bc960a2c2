#pragma once

#include <filesystem>

#include "app/config/config.h"
#include "base/error.h"

namespace heimdall {

// What a command writes where its user says.
enum class OutputKind { plan, dangling };

// Whether the command may put its file at `path`, which it does by rename: what lay there is gone then. invalid_argument, with what is wrong there, unless
// - its directory exists and can be written to,
// - nothing is there, or a regular file: where a plan is to go an empty one or another plan, else none that the configuration reads,
// - it is neither in a directory store, where it would be taken for an object, nor in the state directory.
// Asked before the work begins: what others put there meanwhile is not seen.
Result<void> check_output_path(const Config& config, const std::filesystem::path& path, OutputKind kind);

}  // namespace heimdall
