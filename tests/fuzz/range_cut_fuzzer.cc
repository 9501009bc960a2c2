// Whatever names a server says it has: the parts of a range tile it, and each name lies in the one part whose listing will find it.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "store/s3/range_cut.h"

namespace {

using heimdall::ListRange;
using heimdall::Stem;

void check(bool holds) {
  if (!holds) std::abort();
}

bool is_inside(const ListRange& range, std::string_view key) {
  return key.starts_with(range.prefix) && key > range.after && (range.until.empty() || key <= range.until);
}

void check_parts(const ListRange& whole, const std::vector<ListRange>& parts, const std::set<std::string>& names) {
  check(!parts.empty() && parts.front().after == whole.after && parts.back().until == whole.until);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    check(parts[i].prefix == whole.prefix);
    check(i == 0 || parts[i].after == parts[i - 1].until);
    check(i == 0 || parts[i].until.empty() || parts[i].after < parts[i].until);
  }
  for (const std::string& name : names) {
    if (!is_inside(whole, name)) continue;
    const auto part = std::ranges::find_if(parts, [&](const ListRange& each) { return is_inside(each, name); });
    check(part != parts.end() && name.starts_with(part->narrowed));
  }
}

}  // namespace

// Lines: prefix, after, until, then names, each behind a byte that weighs it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto line = [&] {
    const std::string_view text = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(input.size(), text.size() + 1));
    return std::string(text);
  };
  ListRange whole{line(), line(), line()};
  if (!whole.until.empty() && whole.after >= whole.until) return 0;
  // As S3Cutter sees to it: a prefix that can be asked for, and names of UTF-8 under it.
  if (!heimdall::is_utf8(whole.prefix)) return 0;
  std::set<std::string> names;
  std::vector<double> weights;
  while (!input.empty()) {
    const std::string text = line();
    if (text.size() < 2 || !heimdall::is_utf8(std::string_view(text).substr(1)) || text.find('\0') != std::string::npos) continue;
    if (names.insert(whole.prefix + text.substr(1)).second) weights.push_back(static_cast<unsigned char>(text[0]) / 255.0);
  }
  std::vector<Stem> weighed;
  for (const std::string& name : names) weighed.push_back({name, weights[weighed.size()]});
  const std::vector<std::string> sample(names.begin(), names.end());
  for (const double most : {0.0, 0.1, 0.7, 100.0}) {
    const auto stems = heimdall::join_names(weighed, most);
    check_parts(whole, heimdall::cut_at_stems(whole, stems), names);
    check_parts(whole, heimdall::cut_off_half(whole, stems), names);
  }
  for (const std::size_t parts : {1U, 2U, 7U, 1000U}) check_parts(whole, heimdall::cut_at_sample(whole, parts, sample), names);
  for (const std::string& cut : heimdall::likely_cuts(whole)) check(is_inside(whole, cut));
  return 0;
}
