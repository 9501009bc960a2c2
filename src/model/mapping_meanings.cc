#include "model/mapping_meanings.h"

#include <algorithm>

#include "model/mapping_text.h"

namespace heimdall {

void Meanings::forget() {
  out_.primary.clear();
  used_ = 0;
}

void Meanings::add(std::string_view key) {
  if (key.empty()) return;
  if (out_.primary.empty()) {
    out_.primary.assign(key);
  } else if (!knows(key, used_)) {
    next_slot().assign(key);
  }
}

void Meanings::add_with_slashes(std::string_view key) {
  add(key);
  if (!key.starts_with('/')) return;
  add(key.substr(1));
  add(without_leading_slashes(key));
}

void Meanings::add_decoded(std::string_view key) {
  add_with_slashes(key);
  if (const auto decoded = percent_decoded(key, Plus::literal)) add_with_slashes(*decoded);
  if (key.find('+') == std::string_view::npos) return;
  if (const auto decoded = percent_decoded(key, Plus::blank)) add_with_slashes(*decoded);
}

void Meanings::add_url_key(std::string_view tail) {
  const std::string_view path = path_of(tail);
  if (path.empty()) return;
  if (const auto decoded = percent_decoded(path, Plus::literal)) add_with_slashes(*decoded);
  add_decoded(path);
  // A writer who did not escape '?' and '#' meant the whole.
  if (path.size() != tail.size()) add_decoded(tail);
}

void Meanings::add_folder(std::string_view folder) {
  out_.primary.assign(folder);
  if (!folder.ends_with('/')) out_.primary.push_back('/');
  add(std::string_view(out_.primary).substr(0, out_.primary.size() - 1));
}

void Meanings::finish(Mapped::Kind kind, const std::vector<CompanionTemplate>& companions) {
  if (kind != Mapped::Kind::this_bucket && !empty()) {
    next_slot().swap(out_.primary);
    out_.primary.clear();
  }
  const std::size_t meanings = used_;
  for (const CompanionTemplate& companion : companions) {
    for (std::size_t i = 0; i < meanings + (empty() ? 0 : 1); ++i) {
      std::string& slot = next_slot();
      companion.expand_into(i == meanings ? out_.primary : out_.protecting[i], slot);
      if (slot.empty() || knows(slot, used_ - 1)) --used_;
    }
  }
  out_.protecting.resize(used_);
}

bool Meanings::knows(std::string_view key, std::size_t slots) const {
  const auto end = out_.protecting.begin() + static_cast<std::ptrdiff_t>(slots);
  return key == out_.primary || std::find(out_.protecting.begin(), end, key) != end;
}

std::string& Meanings::next_slot() {
  if (used_ == out_.protecting.size()) out_.protecting.emplace_back();
  return out_.protecting[used_++];
}

}  // namespace heimdall
