#include "store/s3/s3_xml.h"

#include <algorithm>
#include <charconv>
#include <pugixml.hpp>
#include <utility>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

// A key may be nothing but a blank; line ends are never changed; comments and instructions are skipped. A DOCTYPE is seen, to be refused.
constexpr unsigned kParse = pugi::parse_escapes | pugi::parse_cdata | pugi::parse_ws_pcdata_single | pugi::parse_doctype;
// Of a list: 16 elements a key, each begun and ended. A node of the tree takes 64 bytes, sixteen times what an element can take in the text.
constexpr std::size_t kMaxTags = kMaxKeysOfPage * 32;

Error corrupt(std::string message) {
  return {ErrorCode::corrupt, std::move(message), "check that the endpoint is an S3 server, and what stands between"};
}

std::string_view text_of(const pugi::xml_node& node, const char* child) { return node.child(child).text().get(); }

// The start of a body for people, so that a proxy's page can be recognised.
std::string shown(std::string_view body) { return printable(body.substr(0, 80)); }

Result<pugi::xml_node> check_root(const pugi::xml_document& document, const pugi::xml_parse_result& parsed, const char* name,
                                  std::string_view begin) {
  if (!parsed) return corrupt(format("the answer is no XML document that ends ({}): '{}'", parsed.description(), begin));
  for (const pugi::xml_node& node : document.children()) {
    if (node.type() == pugi::node_doctype) return corrupt(format("the answer has a DOCTYPE, as none of a server has: '{}'", begin));
  }
  const pugi::xml_node root = document.document_element();
  if (std::string_view(root.name()) == "Error") {
    return corrupt(format("the answer is an error inside a success: {} ({})", printable(text_of(root, "Message")),
                          printable(text_of(root, "Code"))));
  }
  if (std::string_view(root.name()) != name || root.next_sibling()) {
    return corrupt(format("the answer is no {} but <{}>: '{}'", name, printable(root.name()), begin));
  }
  return root;
}

// Calls `use` with the root element `name` of `body`.
template <class T, class Use>
Result<T> with_root(const std::string& body, const char* name, Use use) {
  pugi::xml_document document;
  const auto parsed = document.load_buffer(body.data(), body.size(), kParse, pugi::encoding_utf8);
  TRY_ASSIGN(const pugi::xml_node root, check_root(document, parsed, name, shown(body)));
  return use(root);
}

void escape(std::string_view text, std::string& out) {
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&apos;"; break;
      default: out += c;
    }
  }
}

S3Problem problem_of(const pugi::xml_node& node) {
  return {std::string(text_of(node, "Code")), std::string(text_of(node, "Message")), std::string(text_of(node, "Region"))};
}

}  // namespace

namespace {

// Whether `text`, which begins with '&', begins with one of the five entities or the number of a character.
bool is_known_entity(std::string_view text) {
  for (const std::string_view known : {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"}) {
    if (text.starts_with(known)) return true;
  }
  if (!text.starts_with("&#")) return false;
  const bool is_hex = text.substr(2).starts_with("x");
  const std::string_view digits = text.substr(is_hex ? 3 : 2, 8);
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, is_hex ? 16 : 10);
  return error == std::errc() && end != digits.data() + digits.size() && *end == ';' && value > 0 && value <= 0x10FFFF;
}

// The parser leaves an entity that it does not know as it stands, so that a key would be named by what it is not. nullopt: there is none.
std::optional<std::string_view> unknown_entity(std::string_view body) {
  constexpr std::pair<std::string_view, std::string_view> kLiteral[] = {{"<![CDATA[", "]]>"}, {"<!--", "-->"}, {"<?", "?>"}};
  for (std::size_t at = body.find_first_of("&<"); at != std::string_view::npos; at = body.find_first_of("&<", at + 1)) {
    const std::string_view rest = body.substr(at);
    if (rest.front() == '&') {
      if (!is_known_entity(rest)) return rest.substr(0, 16);
      continue;
    }
    for (const auto& [begin, end] : kLiteral) {
      if (rest.starts_with(begin)) at = std::min(body.find(end, at + begin.size()), body.size() - 1);
    }
  }
  return std::nullopt;
}

// Which of two counts cannot be known.
Result<void> check_once(const pugi::xml_node& node, std::span<const char* const> names) {
  for (const char* const name : names) {
    if (node.child(name).next_sibling(name)) return corrupt(format("the list has two <{}> where one belongs", name));
  }
  return {};
}

}  // namespace

Result<ListText> parse_list_page(std::string& body) {
  if (static_cast<std::size_t>(std::count(body.begin(), body.end(), '<')) > kMaxTags) {
    return corrupt(format("the list has more elements than {} keys can need", kMaxKeysOfPage));
  }
  if (const auto entity = unknown_entity(body)) return corrupt(format("the list has an entity that nobody defined: '{}'", printable(*entity)));
  const std::string begin = shown(body);
  pugi::xml_document document;
  const auto parsed = document.load_buffer_inplace(body.data(), body.size(), kParse, pugi::encoding_utf8);
  TRY_ASSIGN(const pugi::xml_node root, check_root(document, parsed, "ListBucketResult", begin));
  constexpr const char* kOfPage[] = {"EncodingType", "IsTruncated", "NextContinuationToken", "KeyCount"};
  constexpr const char* kOfObject[] = {"Key", "Size", "LastModified", "ETag"};
  TRY(check_once(root, kOfPage));
  if (const pugi::xml_node error = root.child("Error")) {
    return corrupt(format("the list holds an error: {} ({})", printable(text_of(error, "Message")), printable(text_of(error, "Code"))));
  }
  ListText list;
  list.encoding_type = text_of(root, "EncodingType");
  list.is_truncated = text_of(root, "IsTruncated");
  list.next_token = text_of(root, "NextContinuationToken");
  if (const pugi::xml_node count = root.child("KeyCount")) list.key_count = count.text().get();
  for (const pugi::xml_node& node : root.children("CommonPrefixes")) list.common_prefixes.push_back(text_of(node, "Prefix"));
  for (const pugi::xml_node& node : root.children("Contents")) {
    TRY(check_once(node, kOfObject));
    ListText::Object& object = list.objects.emplace_back();
    for (const pugi::xml_node& field : node.children()) {
      const std::string_view name = field.name();
      if (name == "Key") object.key = field.text().get();
      else if (name == "Size") object.size = field.text().get();
      else if (name == "LastModified") object.date = field.text().get();
      else if (name == "ETag") object.etag = without_quotes(field.text().get());
    }
  }
  return list;
}

std::optional<S3Problem> parse_problem(const std::string& body) {
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size(), kParse, pugi::encoding_utf8)) return std::nullopt;
  const pugi::xml_node root = document.document_element();
  if (std::string_view(root.name()) != "Error" || text_of(root, "Code").empty()) return std::nullopt;
  return problem_of(root);
}

std::string delete_request(std::span<const DeleteItem> items) {
  std::string body = R"(<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">)";
  for (const DeleteItem& item : items) {
    body += "<Object><Key>";
    escape(item.key, body);
    body += "</Key>";
    if (!item.if_etag.empty()) {
      body += "<ETag>&quot;";
      escape(item.if_etag, body);
      body += "&quot;</ETag>";
    }
    body += "</Object>";
  }
  // Not quiet: a key is deleted because the server says so, not because it says nothing.
  return body += "<Quiet>false</Quiet></Delete>";
}

bool xml_can_carry(std::string_view key) {
  for (const char c : key) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
  }
  return is_utf8(key) && key.find("\xEF\xBF\xBE") == std::string_view::npos && key.find("\xEF\xBF\xBF") == std::string_view::npos;
}

Result<DeleteAnswer> parse_delete_result(const std::string& body) {
  return with_root<DeleteAnswer>(body, "DeleteResult", [](const pugi::xml_node& root) -> Result<DeleteAnswer> {
    DeleteAnswer answer;
    for (const pugi::xml_node& node : root.children("Deleted")) answer.deleted.emplace_back(text_of(node, "Key"));
    for (const pugi::xml_node& node : root.children("Error")) {
      answer.refused.push_back({std::string(text_of(node, "Key")), problem_of(node)});
    }
    return answer;
  });
}

Result<std::optional<std::string>> parse_creation_date(const std::string& body, std::string_view bucket) {
  using Date = std::optional<std::string>;
  return with_root<Date>(body, "ListAllMyBucketsResult", [&](const pugi::xml_node& root) -> Result<Date> {
    for (const pugi::xml_node& node : root.child("Buckets").children("Bucket")) {
      if (text_of(node, "Name") != bucket) continue;
      const std::string_view date = text_of(node, "CreationDate");
      return parse_rfc3339(date) ? Date(date) : Date();
    }
    return Date();
  });
}

Result<StoreFacts::Versioning> parse_versioning(const std::string& body) {
  using Versioning = StoreFacts::Versioning;
  return with_root<Versioning>(body, "VersioningConfiguration", [](const pugi::xml_node& root) -> Result<Versioning> {
    const std::string_view status = text_of(root, "Status");
    if (status.empty()) return Versioning::off;
    if (status == "Enabled") return Versioning::enabled;
    if (status == "Suspended") return Versioning::suspended;
    return Versioning::unknown;
  });
}

Result<bool> parse_object_lock(const std::string& body) {
  return with_root<bool>(body, "ObjectLockConfiguration", [](const pugi::xml_node& root) -> Result<bool> {
    return text_of(root, "ObjectLockEnabled") == "Enabled";
  });
}

Result<std::size_t> parse_expiry_rules(const std::string& body) {
  return with_root<std::size_t>(body, "LifecycleConfiguration", [](const pugi::xml_node& root) -> Result<std::size_t> {
    std::size_t rules = 0;
    for (const pugi::xml_node& rule : root.children("Rule")) {
      const pugi::xml_node expiration = rule.child("Expiration");
      // A rule that only tidies delete markers takes no object away.
      if (text_of(rule, "Status") == "Enabled" && (expiration.child("Days") || expiration.child("Date"))) ++rules;
    }
    return rules;
  });
}

}  // namespace heimdall
