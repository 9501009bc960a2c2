#include "refs/sql_text.h"

#include <algorithm>

namespace heimdall {

namespace {

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// SQLite counts every byte above ASCII among the letters.
bool is_word(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u >= 0x80 || (u >= '0' && u <= '9') || (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || u == '_' || u == '$';
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

// Behind the closing quote that starts at `begin`; a doubled quote stands for itself.
std::size_t end_of_quoted(std::string_view sql, std::size_t begin) {
  const char close = sql[begin] == '[' ? ']' : sql[begin];
  for (std::size_t i = begin + 1; i < sql.size(); ++i) {
    if (sql[i] != close) continue;
    if (close != ']' && i + 1 < sql.size() && sql[i + 1] == close) {
      ++i;
      continue;
    }
    return i + 1;
  }
  return sql.size();
}

// Behind the blanks and comments that start at `i`.
std::size_t skip_blanks(std::string_view sql, std::size_t i) {
  for (;;) {
    while (i < sql.size() && is_blank(sql[i])) ++i;
    const std::string_view rest = sql.substr(i);
    std::size_t end = 0;
    if (rest.starts_with("--")) {
      end = sql.find('\n', i);
    } else if (rest.starts_with("/*")) {
      end = sql.find("*/", i + 2);
      if (end != std::string_view::npos) end += 2;
    } else {
      return i;
    }
    i = std::min(end, sql.size());
  }
}

}  // namespace

std::vector<SqlToken> sql_tokens(std::string_view sql) {
  using Kind = SqlToken::Kind;
  std::vector<SqlToken> tokens;
  for (std::size_t i = skip_blanks(sql, 0); i < sql.size(); i = skip_blanks(sql, i)) {
    const char c = sql[i];
    std::size_t end = i + 1;
    Kind kind = Kind::punctuation;
    if (c == '\'' || c == '"' || c == '`' || c == '[') {
      end = end_of_quoted(sql, i);
      kind = c == '\'' ? Kind::literal : Kind::name;
    } else if ((c == 'x' || c == 'X') && i + 1 < sql.size() && sql[i + 1] == '\'') {
      end = end_of_quoted(sql, i + 1);
      kind = Kind::literal;
    } else if (is_word(c)) {
      while (end < sql.size() && is_word(sql[end])) ++end;
      kind = Kind::word;
    }
    tokens.push_back({kind, sql.substr(i, end - i)});
    i = end;
  }
  return tokens;
}

bool has_keyword(std::string_view sql, std::string_view word) {
  const auto same = [](char a, char b) { return upper(a) == b; };
  return std::ranges::any_of(sql_tokens(sql), [&](const SqlToken& token) {
    return token.kind == SqlToken::Kind::word && std::ranges::equal(token.text, word, same);
  });
}

std::string_view first_statement(std::string_view sql) {
  std::string_view result;
  for (const SqlToken& token : sql_tokens(sql)) {
    if (token.text == ";") {
      if (result.empty()) continue;
      break;
    }
    if (result.empty()) result = token.text;
    result = {result.data(), static_cast<std::size_t>(token.text.data() + token.text.size() - result.data())};
  }
  return result;
}

std::string quoted_name(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + '"';
}

}  // namespace heimdall
