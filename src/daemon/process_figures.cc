#include "daemon/process_figures.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace heimdall {

namespace {

// /proc/self/fd, less the one that it is read by. Where not even that one can be opened, all are in use.
std::uint64_t count_open_fds(std::uint64_t max_fds) {
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) return errno == EMFILE ? max_fds : 0;
  std::uint64_t count = 0;
  while (const dirent* const entry = readdir(folder)) {
    if (entry->d_name[0] != '.') ++count;
  }
  closedir(folder);
  return count - 1;
}

double boot_time_seconds() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("btime ")) return std::strtod(line.c_str() + 6, nullptr);
  }
  return 0;
}

// Field 3 of proc(5)'s stat and those that follow: the name before them may hold anything, a closing bracket ends it.
std::istringstream open_stat() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  const auto end_of_name = line.rfind(')');
  return std::istringstream(end_of_name == std::string::npos ? std::string() : line.substr(end_of_name + 1));
}

}  // namespace

ProcessFigures process_figures() {
  ProcessFigures figures;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  std::istringstream stat = open_stat();
  std::string skipped;
  for (int field = 3; field < 14; ++field) stat >> skipped;
  double user = 0, system = 0, start = 0, resident_pages = 0;
  stat >> user >> system >> skipped >> skipped >> skipped >> skipped >> figures.threads >> skipped >> start >> skipped >> resident_pages;
  if (stat) {
    static const double kBooted = boot_time_seconds();
    figures.cpu_seconds = (user + system) / ticks;
    figures.start_time_seconds = kBooted > 0 ? kBooted + start / ticks : 0;
    figures.resident_bytes = static_cast<std::uint64_t>(resident_pages) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) figures.max_fds = limit.rlim_cur;
  figures.open_fds = count_open_fds(figures.max_fds);
  return figures;
}

}  // namespace heimdall
