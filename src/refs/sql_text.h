#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace heimdall {

// SQL as SQLite reads it, cut into tokens; comments and blanks are left out. Never fails: what is not closed goes to the end.
struct SqlToken {
  enum class Kind {
    word,         // keyword, name or number, not quoted
    name,         // "name", `name` or [name]
    literal,      // 'text', x'00'
    punctuation,  // one byte
  };
  Kind kind;
  std::string_view text;  // with its quotes; points into the SQL
};
std::vector<SqlToken> sql_tokens(std::string_view sql);

// Whether `word` (upper case) stands in it as a keyword, in any case of letters.
bool has_keyword(std::string_view sql, std::string_view word);

// The first statement, without the comments and the ';' around it.
std::string_view first_statement(std::string_view sql);

// `name` as SQL takes it whatever it holds: a"b becomes "a""b".
std::string quoted_name(std::string_view name);

}  // namespace heimdall
