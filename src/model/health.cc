#include "model/health.h"

#include <array>

namespace heimdall {

std::string_view to_string(Health health) {
  constexpr std::array<std::string_view, 3> kNames = {"healthy", "warning", "critical"};
  return kNames.at(static_cast<std::size_t>(health));
}

double orphaned_percentage(std::uint64_t orphan_bytes, std::uint64_t total_bytes) {
  return total_bytes == 0 ? 0 : 100.0 * static_cast<double>(orphan_bytes) / static_cast<double>(total_bytes);
}

Health health_of(std::uint64_t orphan_bytes, std::uint64_t total_bytes, const HealthThresholds& thresholds) {
  if (total_bytes == 0) return Health::healthy;
  const double share = static_cast<double>(orphan_bytes) / static_cast<double>(total_bytes);
  return share < thresholds.warning ? Health::healthy : share <= thresholds.critical ? Health::warning : Health::critical;
}

}  // namespace heimdall
