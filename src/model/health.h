#pragma once

#include <cstdint>
#include <string_view>

namespace heimdall {

// How healthy storage is by the share of its bytes that are orphaned.
enum class Health { healthy, warning, critical };
std::string_view to_string(Health health);

struct HealthThresholds {
  double warning = 0.10;   // from here on
  double critical = 0.25;  // above
};

// Of no bytes at all 0.
double orphaned_percentage(std::uint64_t orphan_bytes, std::uint64_t total_bytes);
Health health_of(std::uint64_t orphan_bytes, std::uint64_t total_bytes, const HealthThresholds& thresholds = {});

}  // namespace heimdall
