#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

namespace heimdall {

// Bytes that this process may use at the most: the machine's, or what its control groups (a container, a systemd unit) leave it of them.
std::uint64_t usable_memory_bytes();

// The lowest limit of the groups that /proc/self/cgroup (`groups`) names and those around them, below `root` (/sys/fs/cgroup): version 2's memory.max and version
// 1's memory.limit_in_bytes, see cgroups(7). nullopt: none is set, or none can be read.
std::optional<std::uint64_t> group_memory_limit(std::string_view groups, const std::filesystem::path& root);

}  // namespace heimdall
