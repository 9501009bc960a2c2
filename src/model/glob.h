#pragma once

#include <bitset>
#include <string>
#include <string_view>
#include <vector>

namespace heimdall {

// A pattern of `protect:`, over bytes. '?' is one byte but '/', '*' any run without '/', '**' any run; "dir/**" also matches "dir/" itself,
// and "**/" at the start of a segment also matches nothing ("**/x" matches "x"). '[a-z]' and '[!a-z]' (or '[^a-z]') are sets, never of '/';
// '\' takes the next byte literally. Every text is a pattern: a '[' without its ']' and a last '\' are literal.
// Matches the whole key. Time is at most the product of the lengths of key and pattern (no blow-up). Thread-safe.
class Glob {
 public:
  explicit Glob(std::string pattern);
  bool matches(std::string_view key) const;
  const std::string& pattern() const { return pattern_; }

 private:
  struct Token {
    enum class Kind { literal, one_of, run, any, directories } kind;
    std::string literal = {};
    std::bitset<256> set = {};
  };
  void append_literal(char c);
  std::size_t append_set(std::size_t at);
  std::size_t append_stars(std::size_t at);

  std::string pattern_;
  std::vector<Token> tokens_;
};

}  // namespace heimdall
