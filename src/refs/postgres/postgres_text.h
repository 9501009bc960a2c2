#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "refs/postgres/postgres_connection.h"

namespace heimdall::postgres {

// Types that are told apart, by their fixed numbers in pg_type.
enum TypeId : std::uint32_t {
  kBytea = 17,
  kName = 19,
  kText = 25,
  kJson = 114,
  kTextArray = 1009,
  kBpchar = 1042,
  kVarchar = 1043,
  kJsonb = 3802,
};

// $n as text whose type the server infers.
Parameter text_parameter(std::string text);
// $n as a text[], in the binary form: no byte needs a quote.
Parameter text_array(std::span<const std::string_view> elements);

// The number that the server wrote; corrupt for anything else.
Result<std::uint64_t> parse_number(const std::optional<std::string>& text);

// The bytes of a bytea in its hex form (\x6162). False if it is not of that form.
bool decode_bytea(std::string_view hex, std::string& bytes);

// What `table:` names, quoted: table, schema.table, or either part in double quotes as SQL has them. Letters keep their case.
// invalid_argument for more than two parts.
Result<std::string> quoted_table(std::string_view name);

// The statement without the ';' behind it, so that it can stand inside another one. The text is otherwise as it was.
std::string_view without_semicolon(std::string_view sql);

// invalid_argument if the first word is none of SELECT, WITH, VALUES and TABLE.
Result<void> check_verb(std::string_view sql);

// The rows of `query` whose value is in $1.
std::string lookup_sql(std::string_view query);

}  // namespace heimdall::postgres
