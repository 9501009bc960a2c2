#include "pipeline/class_tally.h"

#include <algorithm>
#include <cctype>

#include "base/format.h"

namespace heimdall {

namespace {

constexpr std::size_t kMaxExtensions = 1024;  // per segment; the rest counts as one class

// The extension if it looks like the name of a format: short, alphanumeric, not a mere number.
std::string_view extension_of(std::string_view key) {
  const std::size_t dot = key.find_last_of("./");
  if (dot == std::string_view::npos || key[dot] == '/' || dot == 0 || key[dot - 1] == '/') return {};
  const std::string_view extension = key.substr(dot + 1);
  const auto is = [&](auto test) {
    return std::all_of(extension.begin(), extension.end(), [&](unsigned char c) { return test(c) != 0; });
  };
  const bool plausible = extension.size() <= 8 && is([](int c) { return std::isalnum(c); }) &&
                         !is([](int c) { return std::isdigit(c); });
  return plausible ? extension : std::string_view();
}

}  // namespace

void ClassTally::add(std::string_view key, Kept kept) {
  // Files at the top are the segment "": they lie between all others, so it is never left.
  const std::size_t slash = key.find('/');
  const std::string_view segment = slash == std::string_view::npos ? std::string_view() : key.substr(0, slash + 1);
  if (!segment.empty() && segment != current_) {
    leave_segment();
    current_ = segment;
  }
  auto at = segments_.find(segment);
  if (at == segments_.end()) at = segments_.emplace(std::string(segment), Segment()).first;
  Segment& classes = at->second;
  std::string_view extension = extension_of(key);
  auto count = classes.find(extension);
  if (count == classes.end()) {
    if (classes.size() >= kMaxExtensions) extension = {};
    count = classes.try_emplace(std::string(extension)).first;
  }
  ++count->second.objects;
  if (kept == Kept::yes) ++count->second.kept;
}

// The first and the last segment of a range may go on in the neighbouring ranges: they stay whole for merge().
void ClassTally::leave_segment() {
  if (current_.empty()) return;
  if (!has_left_first_) {
    has_left_first_ = true;
    return;
  }
  const auto at = segments_.find(current_);
  if (at == segments_.end()) return;
  std::erase_if(at->second, [&](const auto& entry) { return entry.second.kept > 0 || entry.second.objects < limit_; });
  if (at->second.empty()) segments_.erase(at);
}

void ClassTally::merge(const ClassTally& other) {
  for (const auto& [segment, classes] : other.segments_) {
    for (const auto& [extension, count] : classes) {
      Count& mine = segments_[segment][extension];
      mine.objects += count.objects;
      mine.kept += count.kept;
    }
  }
}

std::vector<UnreferencedClass> ClassTally::unreferenced() const {
  std::vector<UnreferencedClass> result;
  for (const auto& [segment, classes] : segments_) {
    for (const auto& [extension, count] : classes) {
      if (count.kept > 0 || count.objects < limit_ || limit_ == 0) continue;
      result.push_back({format("{}*{}{}", segment, extension.empty() ? "" : ".", extension), count.objects});
    }
  }
  return result;
}

}  // namespace heimdall
