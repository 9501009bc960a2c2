#include "daemon/run_request.h"

#include <array>

namespace heimdall {

namespace {
constexpr std::array<std::string_view, 4> kTaskNames = {"cleanup", "stats", "plan", "apply"};
}

std::string_view to_string(Task task) { return kTaskNames.at(static_cast<std::size_t>(task)); }

std::optional<Task> task_named(std::string_view name) {
  for (std::size_t i = 0; i < kTaskNames.size(); ++i) {
    if (kTaskNames[i] == name) return static_cast<Task>(i);
  }
  return std::nullopt;
}

}  // namespace heimdall
