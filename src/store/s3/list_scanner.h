#pragma once

#include <optional>
#include <string>

#include "store/s3/list_text.h"

namespace heimdall {

enum class ByteSearch {
  simd,   // where the machine has it
  plain,  // on any machine
};

// Reads a page of ListObjectsV2 in the form in which servers write it, many times faster than an XML parser.
//
// nullopt: this page holds something else, be it wrong or only unusual (comments, CDATA, a DOCTYPE, attributes, repeated elements, an entity
// beyond the five and those of ASCII, ...), or groups of keys. `body` is then untouched, and the exact reader parse_list_page() decides.
// Otherwise the answer equals the exact reader's. The texts lie in `body`, where entities were replaced.
std::optional<ListText> scan_list_page(std::string& body, ByteSearch search = ByteSearch::simd);

}  // namespace heimdall
