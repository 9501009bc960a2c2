#include "store/s3/s3_capacity.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

namespace heimdall {

namespace {

StoreCapacity sum_up(const nlohmann::json& info) {
  const auto data_disks = info.at("Backend").at("StandardSCData").get<std::vector<std::int64_t>>();  // of each set, by pool
  StoreCapacity sum;
  for (const auto& disk : info.at("Disks")) {
    // A disk that is away has no sizes.
    sum.total_bytes += disk.value("totalspace", std::uint64_t{0});
    sum.used_bytes += disk.value("usedspace", std::uint64_t{0});
    const auto pool = disk.value("pool_index", std::int64_t{0});
    const bool is_known = pool >= 0 && static_cast<std::size_t>(pool) < data_disks.size();
    const bool carries_data = is_known && disk.value("disk_index", std::int64_t{0}) < data_disks[static_cast<std::size_t>(pool)];
    if (carries_data) sum.free_bytes += disk.value("availspace", std::uint64_t{0});
  }
  return sum;
}

}  // namespace

std::optional<StoreCapacity> parse_storage_info(std::string_view json) {
  try {
    const StoreCapacity sum = sum_up(nlohmann::json::parse(json));
    return sum.total_bytes == 0 ? std::nullopt : std::optional(sum);
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace heimdall
