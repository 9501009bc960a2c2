#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/config/yaml.h"
#include "base/error.h"

namespace heimdall {

// All that is wrong with a configuration, so that one look at it is enough.
class Problems {
 public:
  explicit Problems(std::string file) : file_(std::move(file)) {}
  void add(YamlMark mark, std::string message) { list_.push_back({mark, std::move(message)}); }
  bool empty() const { return list_.empty(); }
  // invalid_argument; a line "file:line:column: message" each, in the order of the file, at most 50.
  Error to_error() const;

 private:
  struct Problem {
    YamlMark mark;
    std::string message;
  };
  std::string file_;
  std::vector<Problem> list_;
};

template <class T>
struct Marked {
  T value{};
  YamlMark mark;
};

// "; did you mean 'x'?" or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);
// "a, b, c".
std::string comma_list(const std::vector<std::string>& words);
// The message and what to do about it in one sentence, for a line of Problems.
std::string with_hint(const Error& error);

// One mapping being read, key by key. Each getter declares its key as known and types its value; it returns nullopt when the key is
// absent, and also, after noting the problem, when its value is wrong. finish() then refuses every key that nobody asked for.
class Section {
 public:
  // `what` is for messages, with its article: "a bucket". A null or a node of another kind is noted and reads as empty.
  Section(const YamlNode& node, std::string_view what, Problems& problems);

  const YamlNode* find(std::string_view key);
  bool has(std::string_view key) { return find(key) != nullptr; }
  // Of the value, else of the section.
  YamlMark mark_of(std::string_view key) const;
  YamlMark mark() const { return node_.mark; }

  std::optional<std::string> text(std::string_view key);  // never empty
  std::optional<bool> boolean(std::string_view key);
  std::optional<std::uint64_t> integer(std::string_view key, std::uint64_t low, std::uint64_t high);
  std::optional<double> ratio(std::string_view key);
  std::optional<std::chrono::milliseconds> duration(std::string_view key);
  std::optional<std::uint64_t> size(std::string_view key);
  std::vector<Marked<std::string>> texts(std::string_view key);
  // The second of the pair whose first is the text.
  template <class E>
  std::optional<E> choice(std::string_view key, std::initializer_list<std::pair<std::string_view, E>> values) {
    std::vector<std::string> names;
    for (const auto& [name, value] : values) names.emplace_back(name);
    const std::optional<std::size_t> index = choice_index(key, names);
    return index ? std::optional<E>((values.begin() + *index)->second) : std::nullopt;
  }

  // As text(), but an absent key is a problem.
  std::optional<std::string> required_text(std::string_view key);
  void problem(std::string_view key, std::string message) { problems_.add(mark_of(key), std::move(message)); }
  void require(std::string_view key);

  void finish();

 private:
  const YamlNode* find_scalar(std::string_view key, std::string_view expected);
  std::optional<std::size_t> choice_index(std::string_view key, const std::vector<std::string>& names);

  const YamlNode& node_;
  std::string what_;
  Problems& problems_;
  std::vector<std::string> known_;
};

}  // namespace heimdall
