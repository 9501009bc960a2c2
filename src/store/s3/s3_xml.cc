#include "store/s3/s3_xml.h"

#include <charconv>
#include <pugixml.hpp>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

// A key may be nothing but a blank; line ends are never changed; comments, DOCTYPE and instructions are skipped.
constexpr unsigned kParse = pugi::parse_escapes | pugi::parse_cdata | pugi::parse_ws_pcdata_single;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

Error corrupt(std::string message) {
  return {ErrorCode::corrupt, std::move(message), "check that the endpoint is an S3 server, and what stands between"};
}

std::string_view text_of(const pugi::xml_node& node, const char* child) { return node.child(child).text().get(); }

// The start of a body for people, so that a proxy's page can be recognised.
std::string shown(std::string_view body) { return printable(body.substr(0, 80)); }

Result<pugi::xml_node> check_root(const pugi::xml_document& document, const pugi::xml_parse_result& parsed, const char* name,
                                  std::string_view begin) {
  if (!parsed) return corrupt(format("the answer is no XML document that ends ({}): '{}'", parsed.description(), begin));
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

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// As encoding-type=url writes: '+' is a blank. False for a broken escape.
bool url_decode(std::string_view text, std::string& decoded) {
  decoded.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') decoded += ' ';
    else if (text[i] != '%') decoded += text[i];
    else {
      if (text.size() - i < 3) return false;
      const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return true;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view without_quotes(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') return etag.substr(1, etag.size() - 2);
  return etag;
}

std::optional<Timestamp> whole_seconds(std::string_view text) {
  const auto parsed = parse_rfc3339(text);
  if (!parsed) return std::nullopt;
  return std::chrono::floor<std::chrono::seconds>(*parsed);
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

struct ListPage::Document {
  std::string body;  // what the nodes point into
  pugi::xml_document xml;
  pugi::xml_node root;
};

ListPage::ListPage(std::unique_ptr<Document> document) : document_(std::move(document)) {}
ListPage::~ListPage() = default;
ListPage::ListPage(ListPage&&) noexcept = default;
ListPage& ListPage::operator=(ListPage&&) noexcept = default;

Result<ListPage> ListPage::parse(std::string body) {
  ListPage page(std::make_unique<Document>());
  Document& document = *page.document_;
  document.body = std::move(body);
  const std::string begin = shown(document.body);
  const auto parsed =
      document.xml.load_buffer_inplace(document.body.data(), document.body.size(), kParse, pugi::encoding_utf8);
  TRY_ASSIGN(document.root, check_root(document.xml, parsed, "ListBucketResult", begin));
  const pugi::xml_node& root = document.root;
  for (const pugi::xml_node& child : root.children("Contents")) page.size_ += child ? 1 : 0;

  if (root.child("CommonPrefixes")) return corrupt("the list groups keys, which was not asked for");
  page.is_encoded_ = text_of(root, "EncodingType") == "url";
  if (const pugi::xml_node count = root.child("KeyCount"); count && number(count.text().get()) != page.size_) {
    return corrupt(format("the list says that it has {} keys and has {}", printable(count.text().get()), page.size_));
  }
  const std::string_view truncated = text_of(root, "IsTruncated");
  if (truncated != "true" && truncated != "false") return corrupt("the list does not say whether it ends here (IsTruncated)");
  if (truncated == "true") {
    page.next_token_ = text_of(root, "NextContinuationToken");
    if (page.next_token_.empty()) return corrupt("the list goes on but has no NextContinuationToken");
    if (page.size_ == 0) return corrupt("the list goes on but this page has no keys");
    if (!page.is_encoded_ && page.next_token_.find(kReplacement) != std::string::npos) {
      return Error{ErrorCode::corrupt, "the list goes on at a key that this server cannot write in XML",
                   "rename keys with control characters, or use a server that knows encoding-type=url"};
    }
  }
  return page;
}

std::optional<std::string> ListPage::last_key() const {
  pugi::xml_node last = document_->root.last_child();
  while (last && std::string_view(last.name()) != "Contents") last = last.previous_sibling();
  if (!last) return std::nullopt;
  const std::string_view text = text_of(last, "Key");
  if (!is_encoded_) return std::string(text);
  std::string decoded;
  if (!url_decode(text, decoded)) return std::nullopt;
  return decoded;
}

Result<void> ListPage::visit(std::string_view prefix, std::string& previous,
                             const std::function<void(const ObjectView&)>& visitor) const {
  std::string key;
  for (const pugi::xml_node& node : document_->root.children("Contents")) {
    std::string_view key_text, size_text, date_text, etag_text;
    for (const pugi::xml_node& field : node.children()) {
      const std::string_view name = field.name();
      if (name == "Key") key_text = field.text().get();
      else if (name == "Size") size_text = field.text().get();
      else if (name == "LastModified") date_text = field.text().get();
      else if (name == "ETag") etag_text = field.text().get();
    }
    if (!is_encoded_) {
      if (key_text.find(kReplacement) != std::string_view::npos) continue;
      key = key_text;
    } else if (!url_decode(key_text, key)) {
      return corrupt(format("the list has a key that is not encoded as it says: '{}'", printable(key_text)));
    }
    if (key.empty()) return corrupt("the list has an object without a key");
    if (!key.starts_with(prefix)) {
      return corrupt(format("the list of '{}' has the key '{}': the server does not heed the prefix", printable(prefix), printable(key)));
    }
    if (!previous.empty() && key <= previous) {
      return corrupt(format("the list is not in the order of keys: '{}' comes after '{}'", printable(key), printable(previous)));
    }
    const auto size = number(size_text);
    if (!size) return corrupt(format("the size of '{}' is no number: '{}'", printable(key), printable(size_text)));
    visitor({.key = key, .etag = without_quotes(etag_text), .version_id = "", .size_bytes = *size,
             .last_modified = whole_seconds(date_text)});
    previous = key;
  }
  return {};
}

Result<NamesPage> parse_names_page(const std::string& body, std::string_view prefix) {
  return with_root<NamesPage>(body, "ListBucketResult", [&](const pugi::xml_node& root) -> Result<NamesPage> {
    NamesPage page;
    const bool is_encoded = text_of(root, "EncodingType") == "url";
    const auto take = [&](std::string_view text) -> Result<void> {
      std::string name(text);
      if (is_encoded && !url_decode(text, name)) return corrupt(format("the list has a name that is not encoded as it says: '{}'", printable(text)));
      if (!name.starts_with(prefix)) return corrupt(format("the list of '{}' has '{}': the server does not heed the prefix", printable(prefix), printable(name)));
      if (is_encoded || name.find(kReplacement) == std::string::npos) page.names.push_back(std::move(name));
      return {};
    };
    for (const pugi::xml_node& node : root.children("Contents")) {
      ++page.objects;
      TRY(take(text_of(node, "Key")));
    }
    for (const pugi::xml_node& node : root.children("CommonPrefixes")) TRY(take(text_of(node, "Prefix")));
    const std::string_view truncated = text_of(root, "IsTruncated");
    if (truncated != "true" && truncated != "false") return corrupt("the list does not say whether it ends here (IsTruncated)");
    if (truncated == "true") {
      page.next_token = text_of(root, "NextContinuationToken");
      if (page.next_token.empty()) return corrupt("the list goes on but has no NextContinuationToken");
    }
    return page;
  });
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
