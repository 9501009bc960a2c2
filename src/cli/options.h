#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "model/guard.h"

namespace heimdall {

enum class Command { doctor, scan, plan, show, apply, explain, recover, runs, stats, schedules, serve };

enum class Format { text, json };
enum class Switch { off, on };
// How `serve` writes its log: `automatic` is lines for people on a terminal, JSON elsewhere, priorities for the journal of systemd.
enum class LogFormat { automatic, human, json };

// The command line, parsed. One flat struct: each command reads its own part.
struct Options {
  Command command = Command::scan;
  std::optional<std::string> config;
  std::optional<std::string> state;
  std::vector<std::string> buckets;
  Format format = Format::text;
  Switch quiet = Switch::off;       // no progress
  Switch null = Switch::off;        // lists of keys are NUL-terminated
  std::vector<Guard> accepted;      // scan, plan, apply without FILE
  std::optional<std::string> file;  // plan -o, show, apply
  std::optional<std::string> dangling;
  std::optional<std::uint64_t> limit;
  Switch ignore_grace = Switch::off;
  Switch detailed_exitcode = Switch::off;
  Switch dry_run = Switch::off;
  Switch yes = Switch::off;
  Switch keys = Switch::off;
  Switch probe = Switch::off;
  Switch history = Switch::off;               // stats
  std::optional<Timestamp> from;              // schedules; unset: now
  std::uint64_t count = 5;                    // schedules: times of each
  LogFormat log_format = LogFormat::automatic;  // serve
  LogLevel log_level = LogLevel::info;          // serve
  std::optional<std::string> listen;            // serve: instead of http.listen; checked
  std::vector<std::string> arguments;  // explain: objects; runs show: the run id
};

// What to do instead of running a command: --help, --version (exit 0), or a usage error (exit 64).
struct Usage {
  int exit_code = 64;
  std::string text;
};

// The parsed command line, or the text to print. Never prints anything itself.
tl::expected<Options, Usage> parse_command_line(int argc, const char* const* argv);

}  // namespace heimdall
