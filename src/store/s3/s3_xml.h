#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "ports/object_store.h"
#include "store/s3/list_text.h"

namespace heimdall {

// The documents of the S3 API. Whatever is not the complete, well-formed document that was asked for is `corrupt`: an HTML page, an empty
// body, a cut one or an error inside a success never reads as an empty answer (invariant 2). Entities of a DOCTYPE are not expanded.

// Reads any well-formed page of ListObjectsV2, exactly and slowly: what scan_list_page() leaves, and the oracle of its tests. `body` is used up: the
// texts lie in it. Memory is bounded by a few times the size of the body, and nesting costs no stack.
Result<ListText> parse_list_page(std::string& body);

// What an answer that is no success says. nullopt: this is no error document of S3, so no S3 server may have written it.
struct S3Problem {
  std::string code;
  std::string message;
  std::string region;  // where the bucket is, if the server says so
};
std::optional<S3Problem> parse_problem(const std::string& body);

// The body of a multi-delete. Only for keys of xml_can_carry().
struct DeleteItem {
  std::string_view key;
  std::string_view if_etag;  // empty: whatever is there
};
std::string delete_request(std::span<const DeleteItem> items);

// Whether a key comes through XML 1.0 as it is, in requests and answers: UTF-8 without control characters and without U+FFFE and U+FFFF.
// Tab, line feed and carriage return are allowed in XML, but parsers change them.
bool xml_can_carry(std::string_view key);

struct DeleteAnswer {
  struct Refused {
    std::string key;
    S3Problem problem;
  };
  std::vector<std::string> deleted;
  std::vector<Refused> refused;
};
Result<DeleteAnswer> parse_delete_result(const std::string& body);

// The creation date of `bucket` as the server writes it; nullopt if the list does not have it, or no date that parses.
Result<std::optional<std::string>> parse_creation_date(const std::string& body, std::string_view bucket);
Result<StoreFacts::Versioning> parse_versioning(const std::string& body);
Result<bool> parse_object_lock(const std::string& body);
// How many enabled rules make current objects vanish.
Result<std::size_t> parse_expiry_rules(const std::string& body);

}  // namespace heimdall
