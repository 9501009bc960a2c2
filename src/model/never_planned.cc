#include "model/never_planned.h"

#include <algorithm>
#include <string>

namespace heimdall {

namespace {

// Whether the pattern matches every key below `directory`: it ends in "**", and what stands before that matches a beginning of the directory.
bool covers(const Glob& glob, std::string_view directory) {
  const std::string& pattern = glob.pattern();
  const std::size_t stars = pattern.find_last_not_of('*') + 1;
  if (pattern.size() - stars < 2) return false;
  if (stars > 0 && pattern[stars - 1] == '\\') return false;  // the first star may be a literal one
  const Glob before(pattern.substr(0, stars));
  for (std::size_t size = 0; size <= directory.size(); ++size) {
    if (before.matches(directory.substr(0, size))) return true;
  }
  return false;
}

bool is_protected(const BucketPolicy& policy, std::string_view place) {
  const bool is_directory = place.empty() || place.ends_with('/');
  return std::any_of(policy.protect.begin(), policy.protect.end(),
                     [&](const Glob& glob) { return is_directory ? covers(glob, place) : glob.matches(place); });
}

}  // namespace

bool is_never_planned(const BucketPolicy& policy, std::string_view place) {
  return std::all_of(policy.prefixes.begin(), policy.prefixes.end(), [&](const std::string& prefix) {
    if (place.starts_with(prefix)) return is_protected(policy, place);
    const bool holds_prefix = (place.empty() || place.ends_with('/')) && std::string_view(prefix).starts_with(place);
    return !holds_prefix || is_protected(policy, prefix);
  });
}

}  // namespace heimdall
