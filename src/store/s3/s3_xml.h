#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/object.h"
#include "ports/object_store.h"

namespace heimdall {

// The documents of the S3 API. Whatever is not the complete, well-formed document that was asked for is `corrupt`: an HTML page, an empty
// body, a cut one or an error inside a success never reads as an empty answer (invariant 2). Entities of a DOCTYPE are not expanded.

// One page of ListObjectsV2.
class ListPage {
 public:
  static Result<ListPage> parse(std::string body);
  ~ListPage();
  ListPage(ListPage&&) noexcept;
  ListPage& operator=(ListPage&&) noexcept;

  std::size_t size() const { return size_; }
  // Empty: the listing ends here.
  const std::string& next_token() const { return next_token_; }
  // nullopt if there is none, or it cannot be read.
  std::optional<std::string> last_key() const;

  // Visits the objects in order. Each key must begin with `prefix` and be greater than the one before; `previous` is the last one
  // of the page before and is kept up to date.
  //
  // Dates are whole seconds; one that does not parse is nullopt. Keys in which a server that does not encode them wrote U+FFFD are
  // left out: it stands for bytes that XML cannot carry, so the object's name is not known, and what is not known is kept.
  Result<void> visit(std::string_view prefix, std::string& previous, const std::function<void(const ObjectView&)>& visitor) const;

 private:
  struct Document;
  explicit ListPage(std::unique_ptr<Document> document);
  std::unique_ptr<Document> document_;
  std::size_t size_ = 0;
  bool is_encoded_ = false;
  std::string next_token_;
};

// One page of ListObjectsV2 with delimiter=/: what lies right below a prefix.
struct NamesPage {
  std::vector<std::string> names;  // keys, and directories with their '/'; those that XML cannot carry are left out
  std::size_t objects = 0;         // so many of them are keys
  std::string next_token;          // empty: the list ends here
};
Result<NamesPage> parse_names_page(const std::string& body, std::string_view prefix);

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
