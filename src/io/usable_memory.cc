#include "io/usable_memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

namespace heimdall {

namespace {

// "max" and what is no number are no limit.
std::optional<std::uint64_t> number_in(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

// Inside of a container the path may be the one outside of it: then the group lies at the root, which is looked at in any case.
void take_lowest(std::optional<std::uint64_t>& lowest, const std::filesystem::path& root, std::filesystem::path group, const char* file) {
  for (group = group.relative_path();; group = group.parent_path()) {
    if (const auto limit = number_in(root / group / file)) lowest = std::min(lowest.value_or(*limit), *limit);
    if (group.empty()) return;
  }
}

}  // namespace

std::optional<std::uint64_t> group_memory_limit(std::string_view groups, const std::filesystem::path& root) {
  std::optional<std::uint64_t> lowest;
  while (!groups.empty()) {
    const std::string_view line = groups.substr(0, groups.find('\n'));
    groups.remove_prefix(std::min(groups.size(), line.size() + 1));
    // id:controllers:path
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string controllers = "," + std::string(line.substr(first + 1, second - first - 1)) + ",";
    const std::filesystem::path group(line.substr(second + 1));
    if (controllers == ",,") take_lowest(lowest, root, group, "memory.max");
    else if (controllers.find(",memory,") != std::string::npos) take_lowest(lowest, root / "memory", group, "memory.limit_in_bytes");
  }
  return lowest;
}

std::uint64_t usable_memory_bytes() {
  const auto machine = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  std::ifstream file("/proc/self/cgroup");
  std::stringstream groups;
  groups << file.rdbuf();
  return std::min(machine, group_memory_limit(groups.str(), "/sys/fs/cgroup").value_or(machine));
}

}  // namespace heimdall
