#include "pipeline/listing/class_tally.h"

#include <algorithm>

#include "base/format.h"

namespace heimdall {

namespace {

constexpr std::size_t kMaxExtensions = 1024;  // per segment; the rest counts as one class

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The extension if it looks like the name of a format: at most 8 letters and digits, not a mere number.
std::string_view extension_of(std::string_view key) {
  constexpr std::size_t kLongest = 8;
  bool has_letter = false;
  std::size_t at = key.size();
  while (at > 0 && key.size() - at <= kLongest && (is_letter(key[at - 1]) || is_digit(key[at - 1]))) {
    --at;
    has_letter = has_letter || is_letter(key[at]);
  }
  const bool plausible = has_letter && key.size() - at <= kLongest && at > 1 && key[at - 1] == '.' && key[at - 2] != '/';
  return plausible ? key.substr(at) : std::string_view();
}

}  // namespace

// Files at the top are the segment "": they lie between all others, so it is never left.
ClassTally::Segment& ClassTally::classes_of(std::string_view key) {
  const bool is_last = last_.classes != nullptr && !last_.segment.empty() && key.starts_with(last_.segment);
  if (is_last) return *last_.classes;
  const std::size_t slash = key.find('/');
  const std::string_view segment = slash == std::string_view::npos ? std::string_view() : key.substr(0, slash + 1);
  if (!segment.empty() && segment != current_) {
    leave_segment();
    current_ = segment;
  }
  auto at = segments_.find(segment);
  if (at == segments_.end()) at = segments_.emplace(std::string(segment), Segment()).first;
  last_ = {at->first, &at->second, {}, nullptr};
  return at->second;
}

void ClassTally::add(std::string_view key, Kept kept) {
  Segment& classes = classes_of(key);
  std::string_view extension = extension_of(key);
  if (last_.count == nullptr || extension != last_.extension) {
    auto at = classes.find(extension);
    if (at == classes.end()) {
      if (classes.size() >= kMaxExtensions) extension = {};
      at = classes.try_emplace(std::string(extension)).first;
    }
    last_.extension = at->first;
    last_.count = &at->second;
  }
  ++last_.count->objects;
  if (kept == Kept::yes) ++last_.count->kept;
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
