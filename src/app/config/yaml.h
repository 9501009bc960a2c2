#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace heimdall {

// A place in the configuration file; both count from 1, columns in characters.
struct YamlMark {
  std::size_t line = 1;
  std::size_t column = 1;
  auto operator<=>(const YamlMark&) const = default;
};

struct YamlEntry;

// One value of a YAML file, untyped: `010`, `no` and `30d` are the text that was written. What a scalar means is the schema's
// business, so that no YAML version's idea of a boolean or an octal number decides what is deleted.
struct YamlNode {
  enum class Kind { null, scalar, sequence, mapping };
  enum class Quoting { plain, quoted };  // `quoted` covers '', "" and the block forms | and >
  Kind kind = Kind::null;
  YamlMark mark;  // of a null: its key, as there is nothing else to point at
  Quoting quoting = Quoting::plain;
  std::string text;
  std::vector<YamlNode> items;
  std::vector<YamlEntry> entries;  // in the order of the file, no key twice
};

struct YamlEntry {
  std::string key;
  YamlMark mark;
  YamlNode value;
};

// "12:3: message", as editors and compilers write it, behind the name of the file.
std::string at_position(std::string_view file, YamlMark mark, std::string_view message);

// Reads one YAML document strictly. A byte order mark and CRLF are fine.
//
// Returns invalid_argument with "`file`:line:column: what" for anything that could be read in two ways: a key given twice (the second
// would silently lose), anchors, aliases, merge keys, tags, a second document, control characters, bytes that are not UTF-8,
// nesting over 32 levels, a file over 1 MiB. Never throws.
Result<YamlNode> parse_yaml(std::string_view bytes, std::string_view file);

}  // namespace heimdall
