#include "app/config/section.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {
namespace {

constexpr std::size_t kMaxProblems = 50;

bool is_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Strict decimal: no sign, no leading zero (which older YAML reads as octal), no blanks.
std::optional<std::uint64_t> parse_integer(std::string_view text) {
  if (!is_digits(text) || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_ratio(std::string_view text) {
  const std::size_t point = std::min(text.find('.'), text.size());
  const bool has_fraction = point < text.size();
  if (!is_digits(text.substr(0, point)) || (has_fraction && !is_digits(text.substr(point + 1)))) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || value > 1) return std::nullopt;
  return value;
}

std::string_view name_of_kind(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::null: return "empty";
    case YamlNode::Kind::scalar: return "a single value";
    case YamlNode::Kind::sequence: return "a list";
    case YamlNode::Kind::mapping: return "a mapping of keys";
  }
  return "something else";
}

// Keys under which people write a secret itself.
bool is_secret_key(std::string_view key) {
  constexpr std::string_view kSecrets[] = {"password", "access_key", "secret_key", "delete_access_key", "delete_secret_key", "token"};
  return std::ranges::find(kSecrets, key) != std::end(kSecrets);
}

}  // namespace

Error Problems::to_error() const {
  std::vector<Problem> sorted = list_;
  std::ranges::stable_sort(sorted, {}, &Problem::mark);
  std::string message;
  for (std::size_t i = 0; i < std::min(sorted.size(), kMaxProblems); ++i) {
    if (i > 0) message += '\n';
    message += at_position(file_, sorted[i].mark, sorted[i].message);
  }
  if (sorted.size() > kMaxProblems) message += format("\n{}: and {} more", file_, sorted.size() - kMaxProblems);
  return Error{ErrorCode::invalid_argument, std::move(message), "docs/configuration.md describes every key"};
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  // Comparing with an endless word costs much and finds nothing.
  const auto best = word.size() > 100 ? std::nullopt : nearest(word, known);
  return best ? format("; did you mean '{}'?", *best) : std::string();
}

std::string comma_list(const std::vector<std::string>& words) { return fmt::to_string(fmt::join(words, ", ")); }

std::string with_hint(const Error& error) { return error.hint.empty() ? error.message : format("{}; {}", error.message, error.hint); }

Section::Section(const YamlNode& node, std::string_view what, Problems& problems) : node_(node), what_(what), problems_(problems) {
  if (node.kind != YamlNode::Kind::mapping) {
    problems_.add(node.mark, format("{} must be a mapping of keys, not {}", what_, name_of_kind(node.kind)));
  }
}

const YamlNode* Section::find(std::string_view key) {
  if (std::ranges::find(known_, key) == known_.end()) known_.emplace_back(key);
  const auto entry = std::ranges::find(node_.entries, key, &YamlEntry::key);
  return entry == node_.entries.end() ? nullptr : &entry->value;
}

YamlMark Section::mark_of(std::string_view key) const {
  const auto entry = std::ranges::find(node_.entries, key, &YamlEntry::key);
  return entry == node_.entries.end() ? node_.mark : entry->value.mark;
}

const YamlNode* Section::find_scalar(std::string_view key, std::string_view expected) {
  const YamlNode* const node = find(key);
  if (node == nullptr || node->kind == YamlNode::Kind::scalar) return node;
  problems_.add(node->mark, format("'{}' must be {}, not {}", key, expected, name_of_kind(node->kind)));
  return nullptr;
}

std::optional<std::string> Section::text(std::string_view key) {
  const YamlNode* const node = find_scalar(key, "a text");
  if (node == nullptr) return std::nullopt;
  if (node->text.empty()) {
    problems_.add(node->mark, format("'{}' is empty", key));
    return std::nullopt;
  }
  return node->text;
}

std::optional<std::string> Section::required_text(std::string_view key) {
  require(key);
  return text(key);
}

void Section::require(std::string_view key) {
  if (node_.kind == YamlNode::Kind::mapping && !has(key)) problems_.add(node_.mark, format("{} needs the key '{}'", what_, key));
}

std::optional<bool> Section::boolean(std::string_view key) {
  const YamlNode* const node = find_scalar(key, "true or false");
  if (node == nullptr) return std::nullopt;
  if (node->quoting == YamlNode::Quoting::plain && node->text == "true") return true;
  if (node->quoting == YamlNode::Quoting::plain && node->text == "false") return false;
  problems_.add(node->mark, format("'{}' must be true or false (without quotes), not '{}'", key, printable(node->text)));
  return std::nullopt;
}

std::optional<std::uint64_t> Section::integer(std::string_view key, std::uint64_t low, std::uint64_t high) {
  const YamlNode* const node = find_scalar(key, "a whole number");
  if (node == nullptr) return std::nullopt;
  const auto value = node->quoting == YamlNode::Quoting::plain ? parse_integer(node->text) : std::nullopt;
  if (value && *value >= low && *value <= high) return value;
  const std::string range = high == UINT64_MAX ? format("of at least {}", low) : format("from {} to {}", low, high);
  problems_.add(node->mark,
                format("'{}' must be a whole number {} (decimal digits, without quotes), not '{}'", key, range, printable(node->text)));
  return std::nullopt;
}

std::optional<double> Section::ratio(std::string_view key) {
  const YamlNode* const node = find_scalar(key, "a number from 0 to 1");
  if (node == nullptr) return std::nullopt;
  if (const auto value = parse_ratio(node->text); value && node->quoting == YamlNode::Quoting::plain) return value;
  problems_.add(node->mark, format("'{}' must be a number from 0 to 1, such as 0.5, not '{}'", key, printable(node->text)));
  return std::nullopt;
}

namespace {

// What somebody who wrote a bare number most likely meant.
struct LikelyUnit {
  std::string_view key, unit, name;
};
LikelyUnit likely_unit(std::string_view key) {
  constexpr LikelyUnit kUnits[] = {{"every", "m", "minutes"}, {"jitter", "m", "minutes"}, {"delay", "m", "minutes"},
                                   {"latency_target", "ms", "milliseconds"}, {"request_timeout", "s", "seconds"}};
  for (const LikelyUnit& unit : kUnits) {
    if (unit.key == key) return unit;
  }
  return {key, "d", "days"};
}

}  // namespace

std::optional<std::chrono::milliseconds> Section::duration(std::string_view key) {
  const YamlNode* const node = find_scalar(key, "a duration such as 30d");
  if (node == nullptr) return std::nullopt;
  if (auto value = parse_duration(node->text)) return *value;
  const LikelyUnit likely = likely_unit(key);
  problems_.add(node->mark, is_digits(node->text) && node->text.size() < 10
                                ? format("'{0}' needs a unit; write {1}{2} for {3} (one of ms, s, m, h, d, w), not '{1}'", key, node->text, likely.unit, likely.name)
                                : format("'{}' must be a number with a unit, such as 500ms, 10s, 15m, 72h, 30d or 2w, not '{}'", key,
                                         printable(node->text)));
  return std::nullopt;
}

std::optional<std::uint64_t> Section::size(std::string_view key) {
  const YamlNode* const node = find_scalar(key, "a size such as 10GiB");
  if (node == nullptr) return std::nullopt;
  if (auto value = parse_size(node->text)) return *value;
  problems_.add(node->mark,
                is_digits(node->text) && node->text.size() < 20
                    ? format("'{0}' needs a unit; write {1}B for bytes (also KB, MB, GB, KiB, MiB, GiB), not '{1}'", key, node->text)
                    : format("'{}' must be a number with a unit, such as 10GiB, 500MB or 1024B, not '{}'", key, printable(node->text)));
  return std::nullopt;
}

std::vector<Marked<std::string>> Section::texts(std::string_view key) {
  std::vector<Marked<std::string>> result;
  const YamlNode* const node = find(key);
  if (node == nullptr) return result;
  if (node->kind != YamlNode::Kind::sequence) {
    problems_.add(node->mark, format("'{}' must be a list, such as [\"a\", \"b\"], not {}", key, name_of_kind(node->kind)));
    return result;
  }
  for (const YamlNode& item : node->items) {
    if (item.kind == YamlNode::Kind::scalar && !item.text.empty()) {
      result.push_back({item.text, item.mark});
    } else {
      problems_.add(item.mark, format("an item of '{}' must be a text, not {}", key,
                                      name_of_kind(item.kind == YamlNode::Kind::scalar ? YamlNode::Kind::null : item.kind)));
    }
  }
  return result;
}

std::optional<std::size_t> Section::choice_index(std::string_view key, const std::vector<std::string>& names) {
  const YamlNode* const node = find_scalar(key, format("one of {}", comma_list(names)));
  if (node == nullptr) return std::nullopt;
  const auto found = std::ranges::find(names, node->text);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  problems_.add(node->mark, format("'{}' must be one of {}, not '{}'{}", key, comma_list(names), printable(node->text),
                                   did_you_mean(node->text, names)));
  return std::nullopt;
}

void Section::finish() {
  for (const YamlEntry& entry : node_.entries) {
    if (std::ranges::find(known_, entry.key) != known_.end()) continue;
    if (is_secret_key(entry.key)) {
      problems_.add(entry.mark,
                    format("'{0}' would hold a secret, which does not belong in this file; give '{0}_file' or '{0}_env'", entry.key));
    } else {
      problems_.add(entry.mark,
                    format("unknown key '{}' in {}{} known: {}", printable(entry.key), what_,
                           did_you_mean(entry.key, known_).empty() ? ";" : did_you_mean(entry.key, known_), comma_list(known_)));
    }
  }
}

}  // namespace heimdall
