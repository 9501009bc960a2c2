#include "state/process_mark.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <sstream>

#include "base/clock.h"
#include "base/format.h"

namespace heimdall {

namespace {

struct ProcessStat {
  char state = '?';
  std::int64_t start_ticks = 0;
};

// See proc(5), /proc/PID/stat: the name in field 2 may hold blanks and brackets, so the fields are counted behind its last bracket.
std::optional<ProcessStat> read_stat(std::int64_t pid) {
  std::ifstream file(format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  const std::size_t bracket = line.rfind(')');
  if (bracket == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(bracket + 1));
  ProcessStat stat;
  fields >> stat.state;
  constexpr int kFieldsBetween = 18;  // 4 to 21
  std::string skipped;
  for (int i = 0; i < kFieldsBetween; ++i) fields >> skipped;
  fields >> stat.start_ticks;
  if (!fields) return std::nullopt;
  return stat;
}

}  // namespace

ProcessMark this_process() {
  const std::int64_t pid = getpid();
  const auto stat = read_stat(pid);
  return {pid, stat ? stat->start_ticks : 0, SystemClock().boot_id()};
}

std::string file_name_of(const ProcessMark& mark) { return format("{}-{}-{:_<36}", mark.pid, mark.start_ticks, mark.boot_id); }

bool seems_running(const ProcessMark& mark) {
  if (const std::string boot_id = SystemClock().boot_id();
      !mark.boot_id.empty() && !boot_id.empty() && mark.boot_id != boot_id) {
    return false;
  }
  if (mark.pid <= 0) return false;
  // /proc may be missing or hide the processes of others: then the kernel still tells whether the pid is taken.
  const auto stat = read_stat(mark.pid);
  if (!stat) return kill(static_cast<pid_t>(mark.pid), 0) == 0 || errno == EPERM;
  if (stat->state == 'Z' || stat->state == 'X') return false;
  return mark.start_ticks == 0 || stat->start_ticks == mark.start_ticks;
}

}  // namespace heimdall
