#include "refs/postgres/postgres_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "base/format.h"
#include "base/text.h"
#include "refs/sql_text.h"

namespace heimdall::postgres {

namespace {

void append_big_endian(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xFFU);
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Takes one name from the front of `rest`; nullopt if there is none.
std::optional<std::string> take_name(std::string_view& rest) {
  std::string name;
  if (!rest.starts_with('"')) {
    name = rest.substr(0, rest.find('.'));
    rest.remove_prefix(name.size());
    return name.empty() ? std::nullopt : std::optional(name);
  }
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '"' && !rest.substr(i + 1).starts_with('"')) {
      rest.remove_prefix(i + 1);
      return name;
    }
    if (rest[i] == '"') ++i;
    name += rest[i];
  }
  return std::nullopt;
}

}  // namespace

Parameter text_parameter(std::string text) { return {0, std::move(text), Parameter::Format::text}; }

// https://github.com/postgres/postgres/blob/REL_15_STABLE/src/backend/utils/adt/arrayfuncs.c, array_recv: dimensions, whether
// there are NULLs, the type, then size and first index of each dimension, then length and bytes of each element.
Parameter text_array(std::span<const std::string_view> elements) {
  std::string bytes;
  append_big_endian(bytes, elements.empty() ? 0 : 1);
  append_big_endian(bytes, 0);
  append_big_endian(bytes, kText);
  if (!elements.empty()) {
    append_big_endian(bytes, static_cast<std::uint32_t>(elements.size()));
    append_big_endian(bytes, 1);
  }
  for (const std::string_view element : elements) {
    append_big_endian(bytes, static_cast<std::uint32_t>(element.size()));
    bytes += element;
  }
  return {kTextArray, std::move(bytes), Parameter::Format::binary};
}

Result<std::uint64_t> parse_number(const std::optional<std::string>& text) {
  std::uint64_t number = 0;
  if (text) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error == std::errc() && end == text->data() + text->size()) return number;
  }
  return Error{ErrorCode::corrupt, format("PostgreSQL answered '{}' where a number belongs", printable(text.value_or("NULL")))};
}

bool decode_bytea(std::string_view hex, std::string& bytes) {
  bytes.clear();
  if (!hex.starts_with("\\x") || hex.size() % 2 != 0) return false;
  for (std::size_t i = 2; i < hex.size(); i += 2) {
    const int high = digit(hex[i]), low = digit(hex[i + 1]);
    if (high < 0 || low < 0) return false;
    bytes += static_cast<char>(high * 16 + low);
  }
  return true;
}

Result<std::string> quoted_table(std::string_view name) {
  std::string_view rest = name;
  std::string quoted;
  for (int parts = 1; parts <= 2; ++parts) {
    const auto part = take_name(rest);
    if (!part) break;
    quoted += quoted_name(*part);
    if (rest.empty()) return quoted;
    if (!rest.starts_with('.')) break;
    rest.remove_prefix(1);
    quoted += '.';
  }
  return Error{ErrorCode::invalid_argument, format("table: '{}' is no name of a table", printable(name)),
               "write table, schema.table, or names with odd characters as \"schema\".\"ta.ble\""};
}

std::string_view without_semicolon(std::string_view sql) {
  const auto tokens = sql_tokens(sql);
  std::string_view result = sql;
  for (auto token = tokens.rbegin(); token != tokens.rend() && token->text == ";"; ++token) {
    result = sql.substr(0, static_cast<std::size_t>(token->text.data() - sql.data()));
  }
  return result;
}

Result<void> check_verb(std::string_view sql) {
  static constexpr std::array kVerbs = {"SELECT", "WITH", "VALUES", "TABLE"};
  std::string verb;
  for (const SqlToken& token : sql_tokens(sql)) {
    if (token.text == "(") continue;
    verb = token.text;
    break;
  }
  std::ranges::transform(verb, verb.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (std::ranges::find(kVerbs, verb) != kVerbs.end()) return {};
  return Error{ErrorCode::invalid_argument, verb.empty() ? "the query is empty" : format("the query begins with '{}'", printable(verb)),
               "a reference is one SELECT, WITH, VALUES or TABLE"};
}

// On lines of its own, so that a comment at the end of the query ends there.
std::string lookup_sql(std::string_view query) {
  return format("SELECT ref FROM (\n{}\n) AS heimdall_storage_source(ref) WHERE ref = ANY($1)", without_semicolon(query));
}

}  // namespace heimdall::postgres
