#include "model/glob.h"

#include <algorithm>

namespace heimdall {

namespace {

std::size_t index_of(char c) { return static_cast<unsigned char>(c); }

}  // namespace

Glob::Glob(std::string pattern) : pattern_(std::move(pattern)) {
  std::size_t at = 0;
  while (at < pattern_.size()) {
    const char c = pattern_[at];
    if (c == '*') {
      at = append_stars(at);
    } else if (c == '?') {
      tokens_.push_back({Token::Kind::one_of, {}, std::bitset<256>().set().reset(index_of('/'))});
      ++at;
    } else if (c == '[') {
      at = append_set(at);
    } else {
      if (c == '\\' && at + 1 < pattern_.size()) ++at;
      append_literal(pattern_[at++]);
    }
  }
}

void Glob::append_literal(char c) {
  if (tokens_.empty() || tokens_.back().kind != Token::Kind::literal) tokens_.push_back({Token::Kind::literal});
  tokens_.back().literal.push_back(c);
}

// Returns the place behind the stars.
std::size_t Glob::append_stars(std::size_t at) {
  const bool starts_segment = at == 0 || pattern_[at - 1] == '/';
  const std::size_t end = std::min(pattern_.find_first_not_of('*', at), pattern_.size());
  if (end - at == 1) {
    tokens_.push_back({Token::Kind::run});
    return end;
  }
  if (starts_segment && end < pattern_.size() && pattern_[end] == '/') {
    tokens_.push_back({Token::Kind::directories});
    return end + 1;
  }
  tokens_.push_back({Token::Kind::any});
  return end;
}

// Reads "[...]" at `at`; a ']' in the first place is a member. Returns the place behind it.
std::size_t Glob::append_set(std::size_t at) {
  std::size_t i = at + 1;
  const bool inverted = i < pattern_.size() && (pattern_[i] == '!' || pattern_[i] == '^');
  if (inverted) ++i;
  const std::size_t first = i;
  Token token{Token::Kind::one_of};
  const auto member = [&] {
    if (pattern_[i] == '\\' && i + 1 < pattern_.size()) ++i;
    return index_of(pattern_[i++]);
  };
  while (i < pattern_.size() && (pattern_[i] != ']' || i == first)) {
    const std::size_t low = member();
    std::size_t high = low;
    if (i + 1 < pattern_.size() && pattern_[i] == '-' && pattern_[i + 1] != ']') {
      ++i;
      high = member();
    }
    for (std::size_t byte = low; byte <= high; ++byte) token.set.set(byte);
  }
  if (i >= pattern_.size()) {
    append_literal('[');
    return at + 1;
  }
  if (inverted) token.set.flip();
  token.set.reset(index_of('/'));
  tokens_.push_back(std::move(token));
  return i + 1;
}

// Carries the set of places in the key that the tokens so far can reach, token by token.
bool Glob::matches(std::string_view key) const {
  std::size_t next_token = 0;
  std::size_t start = 0;
  // Most keys match no pattern: the literal ends decide without any memory.
  if (!tokens_.empty() && tokens_.front().kind == Token::Kind::literal) {
    const std::string& literal = tokens_.front().literal;
    if (!key.starts_with(literal)) return false;
    start = literal.size();
    next_token = 1;
  }
  if (next_token == tokens_.size()) return start == key.size();
  const Token& last = tokens_.back();
  if (last.kind == Token::Kind::any && next_token + 1 == tokens_.size()) return true;
  if (last.kind == Token::Kind::literal && !key.ends_with(last.literal)) return false;

  std::string here(key.size() + 1, '\0');
  std::string there(key.size() + 1, '\0');
  here[start] = 1;
  for (; next_token < tokens_.size(); ++next_token, here.swap(there)) {
    const Token& token = tokens_[next_token];
    std::fill(there.begin(), there.end(), '\0');
    bool open = false;  // a run that began further left is still going on
    for (std::size_t i = start; i <= key.size(); ++i) {
      const bool after_slash = i > 0 && key[i - 1] == '/';
      switch (token.kind) {
        case Token::Kind::literal:
          if (here[i] && key.substr(i).starts_with(token.literal)) there[i + token.literal.size()] = 1;
          break;
        case Token::Kind::one_of:
          if (here[i] && i < key.size() && token.set.test(index_of(key[i]))) there[i + 1] = 1;
          break;
        case Token::Kind::run:
          open = here[i] || (open && !after_slash);
          there[i] = open;
          break;
        case Token::Kind::any:
          open = open || here[i];
          there[i] = open;
          break;
        case Token::Kind::directories:
          there[i] = here[i] || (open && after_slash);
          open = open || here[i];
          break;
      }
    }
  }
  return here[key.size()] != 0;
}

}  // namespace heimdall
