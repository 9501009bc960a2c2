#pragma once

namespace heimdall {

// The command line program: parses, runs one command, and returns the exit status (cli/exit_code.h).
int run_cli(int argc, const char* const* argv);

}  // namespace heimdall
