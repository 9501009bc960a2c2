#pragma once

#include <string_view>

#include "cli/exit_code.h"

namespace heimdall {

// Opens what of the descriptors 0 to 2 is closed on a place that takes nothing: else the next file, the state database say, would be there and get what is
// printed. Call once, before any file is opened.
void open_standard_streams();

// Writes all of it to standard output at once. The first failure is kept. Not thread-safe.
void print_out(std::string_view text);

// What a command that ends with `code` ends with if its results may not have reached standard output: then a line on standard error says so, and a success is
// none. A reader that went away wanted no more: that is no failure.
ExitCode with_output_checked(ExitCode code);

}  // namespace heimdall
