#include "cli/sparkline.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace heimdall {

namespace {

constexpr std::array<std::string_view, 8> kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<std::string_view, 8> kAscii = {"_", ".", ":", "-", "=", "+", "*", "#"};

}  // namespace

std::string sparkline(std::span<const std::uint64_t> values, SparkStyle style) {
  if (values.empty()) return "";
  const auto& levels = style == SparkStyle::blocks ? kBlocks : kAscii;
  const auto [lowest, highest] = std::minmax_element(values.begin(), values.end());
  const auto range = static_cast<double>(*highest - *lowest);
  std::string line;
  for (const std::uint64_t value : values) {
    const double part = range > 0 ? static_cast<double>(value - *lowest) / range : 0;
    line += levels.at(std::min(levels.size() - 1, static_cast<std::size_t>(part * static_cast<double>(levels.size()))));
  }
  return line;
}

bool is_utf8_locale(const Environment& environment) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const auto value = environment(name);
    if (!value || value->empty()) continue;
    std::string lower;
    for (const char c : *value) lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return lower.find("utf-8") != std::string::npos || lower.find("utf8") != std::string::npos;
  }
  return false;
}

}  // namespace heimdall
