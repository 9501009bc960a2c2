#include "model/mapping.h"

#include <algorithm>
#include <array>
#include <utility>

namespace heimdall {

namespace {

constexpr std::string_view kKnownFields = "{key} {dir} {name} {stem} {ext}";

struct KeyParts {
  std::string_view dir, name, stem, ext;
  bool has_dir;  // "/a" has one, and it is empty
};

KeyParts split_key(std::string_view key) {
  KeyParts parts{};
  const std::size_t slash = key.rfind('/');
  parts.has_dir = slash != std::string_view::npos;
  parts.dir = parts.has_dir ? key.substr(0, slash) : std::string_view();
  parts.name = parts.has_dir ? key.substr(slash + 1) : key;
  const std::size_t dot = parts.name.rfind('.');
  const bool has_ext = dot != std::string_view::npos && dot > 0;
  parts.stem = has_ext ? parts.name.substr(0, dot) : parts.name;
  parts.ext = has_ext ? parts.name.substr(dot + 1) : std::string_view();
  return parts;
}

}  // namespace

Result<CompanionTemplate> CompanionTemplate::parse(std::string_view text) {
  using Field = Part::Field;
  constexpr std::array<std::pair<std::string_view, Field>, 5> kFields = {
      {{"key", Field::key}, {"dir", Field::dir}, {"name", Field::name}, {"stem", Field::stem}, {"ext", Field::ext}}};
  const std::string what = "companion '" + std::string(text) + "'";
  const std::string hint = "Known fields are " + std::string(kKnownFields) + ", for example \"{dir}/{stem}_metadata.json\".";

  CompanionTemplate parsed;
  parsed.text_ = text;
  bool has_field = false;
  while (!text.empty()) {
    if (text.front() != '{') {
      const std::string_view literal = text.substr(0, text.find('{'));
      parsed.parts_.push_back({Field::literal, std::string(literal)});
      text.remove_prefix(literal.size());
      continue;
    }
    const std::size_t end = text.find('}');
    if (end == std::string_view::npos) {
      return Error{ErrorCode::invalid_argument, what + " has a '{' without its '}'.", hint};
    }
    const std::string_view name = text.substr(1, end - 1);
    const auto known = std::find_if(kFields.begin(), kFields.end(), [&](const auto& field) { return field.first == name; });
    if (known == kFields.end()) {
      return Error{ErrorCode::invalid_argument, what + " has the unknown field '{" + std::string(name) + "}'.", hint};
    }
    parsed.parts_.push_back({known->second, {}});
    has_field = true;
    text.remove_prefix(end + 1);
  }
  if (!has_field) {
    return Error{ErrorCode::invalid_argument, what + " has no field: it would be the same key for every reference.",
                 hint + " A fixed key belongs into `protect:`."};
  }
  return parsed;
}

std::string CompanionTemplate::expand(std::string_view key) const {
  std::string out;
  expand_into(key, out);
  return out;
}

void CompanionTemplate::expand_into(std::string_view key, std::string& out) const {
  const KeyParts of_key = split_key(key);
  out.clear();
  bool drop_slash = false;
  for (const Part& part : parts_) {
    std::string_view piece;
    switch (part.field) {
      case Part::Field::literal: piece = part.literal; break;
      case Part::Field::key: piece = key; break;
      case Part::Field::dir: piece = of_key.dir; break;
      case Part::Field::name: piece = of_key.name; break;
      case Part::Field::stem: piece = of_key.stem; break;
      case Part::Field::ext: piece = of_key.ext; break;
    }
    if (drop_slash && part.field == Part::Field::literal && piece.starts_with('/')) piece.remove_prefix(1);
    out.append(piece);
    drop_slash = part.field == Part::Field::dir && !of_key.has_dir;
  }
}

bool CompanionTemplate::has_exact_inverse() const {
  const auto is_literal = [](const Part& part) { return part.field == Part::Field::literal; };
  const auto is_key = [](const Part& part) { return part.field == Part::Field::key; };
  return std::count_if(parts_.begin(), parts_.end(), is_key) == 1 &&
         std::all_of(parts_.begin(), parts_.end(), [&](const Part& part) { return is_literal(part) || is_key(part); });
}

std::optional<std::string> CompanionTemplate::invert(std::string_view companion) const {
  if (!has_exact_inverse()) return std::nullopt;
  const auto key = std::find_if(parts_.begin(), parts_.end(), [](const Part& part) { return part.field == Part::Field::key; });
  std::string before;
  std::string after;
  for (auto part = parts_.begin(); part != parts_.end(); ++part) (part < key ? before : after).append(part->literal);
  if (companion.size() <= before.size() + after.size()) return std::nullopt;  // the empty key is none
  if (!companion.starts_with(before) || !companion.ends_with(after)) return std::nullopt;
  return std::string(companion.substr(before.size(), companion.size() - before.size() - after.size()));
}

}  // namespace heimdall
