#include "cli/standard_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "base/format.h"

namespace heimdall {

namespace {

int first_failure = 0;  // an errno

void keep_failure() {
  if (first_failure == 0) first_failure = errno == 0 ? EIO : errno;
}

}  // namespace

void open_standard_streams() {
  // The wrong way round for 0 and 1: whoever reads or writes there is told.
  constexpr int kModes[] = {O_WRONLY, O_RDONLY, O_WRONLY};
  for (int fd = 0; fd < 3; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest one that is free is this one. Without /dev/null there is nothing to be done.
    [[maybe_unused]] const int opened = open("/dev/null", kModes[fd]);
  }
}

void print_out(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) keep_failure();
}

ExitCode with_output_checked(ExitCode code) {
  if (first_failure == 0 || first_failure == EPIPE) return code;
  const std::string message = format("error: not all results could be written to standard output: {}\n"
                                     "       what the command did is done; write its output elsewhere and see `runs`\n",
                                     std::generic_category().message(first_failure));
  std::fwrite(message.data(), 1, message.size(), stderr);
  return code == ExitCode::ok || code == ExitCode::plan_not_empty ? ExitCode::failure : code;
}

}  // namespace heimdall
