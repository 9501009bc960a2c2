#include "store/s3/range_cut.h"

#include <algorithm>

namespace heimdall {

namespace {

constexpr std::size_t kMostLikelyCuts = 6;
constexpr std::size_t kNameCharacters = 3;  // of a name, that are varied
constexpr char kLastPlain = '~';

std::string_view common_beginning(std::string_view a, std::string_view b) {
  const auto differ = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first;
  return a.substr(0, static_cast<std::size_t>(differ - a.begin()));
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

// Where the character that begins at `at` ends.
std::size_t character_end(std::string_view text, std::size_t at) {
  ++at;
  while (at < text.size() && is_continuation(text[at])) ++at;
  return at;
}

// A cut leaves something on both sides.
bool is_inside(const ListRange& range, std::string_view key) { return range.holds(key) && key != range.until; }

double weight_of(std::span<const Stem> names) {
  double sum = 0;
  for (const Stem& name : names) sum += name.weight;
  return sum;
}

void join(std::span<const Stem> names, double most, std::vector<Stem>& stems) {
  std::string_view shared = common_beginning(names.front().text, names.back().text);  // sorted: all between share it, too
  while (!shared.empty() && shared.size() < names.front().text.size() && is_continuation(names.front().text[shared.size()])) {
    shared.remove_suffix(1);
  }
  const double weight = weight_of(names);
  if (names.size() == 1 || weight <= most) {
    stems.push_back({std::string(shared), weight});
    return;
  }
  for (auto first = names.begin(); first != names.end();) {
    const auto next_character = [&](const Stem& name) {
      if (name.text.size() == shared.size()) return std::string_view();
      const std::size_t end = character_end(name.text, shared.size());
      return std::string_view(name.text).substr(shared.size(), end - shared.size());
    };
    const std::string_view character = next_character(*first);
    const auto last = std::find_if(first, names.end(), [&](const Stem& name) { return next_character(name) != character; });
    join({first, last}, most, stems);
    first = last;
  }
}

// The tiles from stem number `first` on, in front of them what is left of the range.
std::vector<ListRange> cut_from(const ListRange& range, std::span<const Stem> stems, std::size_t first) {
  std::vector<ListRange> parts = {range};
  for (const Stem& stem : stems.subspan(first)) {
    std::string bound = bound_before(stem.text);
    // It begins where the range does, which is no cut; or all of it lies behind the range.
    if (bound <= range.after || bound <= parts.back().after || (!range.until.empty() && bound >= range.until)) continue;
    parts.back().until = bound;
    parts.push_back({range.prefix, std::move(bound), range.until, stem.text});
  }
  return parts;
}

// Number of the first stem all of which is still to be listed.
std::size_t first_ahead(const ListRange& range, std::span<const Stem> stems) {
  const auto ahead = std::find_if(stems.begin(), stems.end(), [&](const Stem& stem) { return stem.text > range.after; });
  return static_cast<std::size_t>(ahead - stems.begin());
}

}  // namespace

std::vector<ListRange> cut_at_sample(const ListRange& range, std::size_t parts, std::span<const std::string> sample) {
  std::vector<const std::string*> inside;
  for (auto key = std::upper_bound(sample.begin(), sample.end(), std::max(range.after, range.prefix)); key != sample.end(); ++key) {
    if (!is_inside(range, *key)) break;
    if (inside.empty() || *inside.back() != *key) inside.push_back(&*key);
  }
  std::vector<ListRange> result = {range};
  parts = std::min(parts, inside.size() + 1);
  for (std::size_t i = 1; i < parts; ++i) {
    const std::string& cut = *inside[inside.size() * i / parts];
    if (cut <= result.back().after) continue;
    result.back().until = cut;
    result.push_back({range.prefix, cut, range.until});
  }
  return result;
}

std::vector<Stem> join_names(std::span<const Stem> names, double most) {
  std::vector<Stem> stems;
  if (!names.empty()) join(names, most, stems);
  return stems;
}

std::string bound_before(std::string_view stem) {
  std::string bound(stem);
  if (bound.empty()) return bound;
  const char last = bound.back();
  bound.pop_back();
  if (last == '\0') return bound;
  bound += static_cast<char>(static_cast<unsigned char>(last) - 1);
  return bound += '\xFF';  // no UTF-8 key goes on like that
}

std::vector<ListRange> cut_at_stems(const ListRange& range, std::span<const Stem> stems) {
  if (stems.empty()) return {range};
  const std::size_t ahead = first_ahead(range, stems);
  // Nothing lies before the first stem: the first range is its own, where no listing of it has begun.
  const bool is_fresh = ahead == 0;
  std::vector<ListRange> parts = cut_from(range, stems, is_fresh ? 1 : ahead);
  if (is_fresh) parts.front().narrowed = stems.front().text;
  return parts;
}

std::vector<ListRange> cut_off_half(const ListRange& range, std::span<const Stem> stems) {
  const std::size_t ahead = first_ahead(range, stems);
  const double half = weight_of(stems.subspan(ahead)) / 2;
  std::size_t first = stems.size();
  double weight = 0;
  while (first > ahead && (first == stems.size() || weight + stems[first - 1].weight <= half)) weight += stems[--first].weight;
  return cut_from(range, stems, first);
}

std::vector<std::string> likely_cuts(const ListRange& range) {
  const std::string& at = range.after;
  const std::string_view base = range.until.empty() ? std::string_view(range.prefix) : common_beginning(at, range.until);
  std::vector<std::string> cuts;
  const auto offer = [&](std::string cut) {
    if (cuts.size() < kMostLikelyCuts && is_inside(range, cut)) cuts.push_back(std::move(cut));
  };
  // Behind the directories that the listing is in, the outermost first: most may lie there.
  std::size_t name = base.size();
  for (std::size_t slash = at.find('/', base.size()); slash != std::string::npos; slash = at.find('/', slash + 1)) {
    offer(at.substr(0, slash) + static_cast<char>('/' + 1));
    name = slash + 1;
  }
  // Inside of the innermost one: halfway to the last name there can be, then just behind those like this one.
  for (std::size_t i = name; i < std::min(at.size(), name + kNameCharacters); ++i) {
    const auto here = static_cast<unsigned char>(at[i]);
    if (here < ' ' || here >= static_cast<unsigned char>(kLastPlain)) break;
    offer(at.substr(0, i) + static_cast<char>((here + static_cast<unsigned char>(kLastPlain) + 1) / 2));
    offer(at.substr(0, i) + static_cast<char>(here + 1));
  }
  return cuts;
}

}  // namespace heimdall
