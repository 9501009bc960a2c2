#include "store/s3/list_page.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/format.h"
#include "base/text.h"
#include "store/s3/byte_search.h"
#include "store/s3/list_date.h"
#include "store/s3/list_scanner.h"
#include "store/s3/s3_xml.h"

namespace heimdall {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::size_t kMaxKeyBytes = 4096;                 // S3 has 1,024
constexpr std::size_t kMaxTokenBytes = std::size_t{64} << 10;

Error corrupt(std::string message) {
  return {ErrorCode::corrupt, std::move(message), "check that the endpoint is an S3 server, and what stands between"};
}

// For messages: what lies may be as long as a page.
std::string shown(std::string_view text) { return printable(text.substr(0, 1024)); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// As encoding-type=url writes: '+' is a blank. False for a broken escape.
bool url_decode(const char* in, const char* end, char*& out) {
  for (; in != end; ++in) {
    if (*in == '+') *out++ = ' ';
    else if (*in != '%') *out++ = *in;
    else {
      if (end - in < 3) return false;
      const int high = hex_digit(in[1]), low = hex_digit(in[2]);
      if (high < 0 || low < 0) return false;
      *out++ = static_cast<char>(high * 16 + low);
      in += 2;
    }
  }
  return true;
}

std::optional<std::uint64_t> number(std::string_view text) {
  constexpr std::size_t kSurelyFits = 18;
  std::uint64_t value = 0;
  if (text.empty() || text.size() > kSurelyFits) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
  }
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

// Holds what a page says against what was asked, and against itself.
class PageCheck {
 public:
  PageCheck(const ListText& list, const ListRules& rules, std::string& body)
      : list_(list), rules_(rules), body_(body), is_encoded_(list.encoding_type == "url") {}

  Result<ListHead> head() const;
  Result<void> objects(ObjectPage& page, ListHead& head);
  Result<void> common_prefixes(ListHead& head);

 private:
  // Asked once per key. Errors are made by misnamed() and misplaced(), away from the path of what is right.
  enum class Name { known, unknown, wrong };
  // Makes of `text` the name that it stands for, where it lies in the body.
  Name decode(std::string_view& text);
  bool is_placed(std::string_view key, std::string_view previous) const {
    return !key.empty() && key.starts_with(rules_.prefix) && (previous.empty() || key > previous);
  }
  static Error misnamed(std::string_view text);
  Error misplaced(std::string_view key, std::string_view previous) const;

  const ListText& list_;
  const ListRules& rules_;
  std::string& body_;
  const bool is_encoded_;
};

Result<ListHead> PageCheck::head() const {
  ListHead head;
  head.keys = list_.objects.size();
  const std::size_t items = head.keys + list_.common_prefixes.size();
  if (rules_.grouping == ListRules::Grouping::none && !list_.common_prefixes.empty()) {
    return corrupt("the list groups keys, which was not asked for");
  }
  if (items > kMaxKeysOfPage) return corrupt(format("the list has {} keys in one page", items));
  if (list_.key_count && number(*list_.key_count) != items) {
    return corrupt(format("the list says that it has {} keys and has {}", shown(*list_.key_count), items));
  }
  if (list_.is_truncated == "false") return head;
  if (list_.is_truncated != "true") return corrupt("the list does not say whether it ends here (IsTruncated)");
  if (list_.next_token.empty()) return corrupt("the list goes on but has no NextContinuationToken");
  if (items == 0) return corrupt("the list goes on but this page has no keys");
  if (list_.next_token.size() > kMaxTokenBytes) return corrupt("the list goes on at a token that is longer than any server's");
  if (!is_encoded_ && list_.next_token.find(kReplacement) != std::string_view::npos) {
    return Error{ErrorCode::corrupt, "the list goes on at a key that this server cannot write in XML",
                 "rename keys with control characters, or use a server that knows encoding-type=url"};
  }
  head.next_token = list_.next_token;
  return head;
}

PageCheck::Name PageCheck::decode(std::string_view& text) {
  if (!is_encoded_) {
    if (text.find(kReplacement) != std::string_view::npos) return Name::unknown;
  } else {
    const char* const end = text.data() + text.size();
    const char* const escaped = SimdBytes::find<'%', '+'>(text.data(), end);
    if (escaped != end) {
      char* out = body_.data() + (escaped - body_.data());
      if (!url_decode(escaped, end, out)) return Name::wrong;
      text = text.substr(0, static_cast<std::size_t>(out - text.data()));
    }
  }
  return text.size() > kMaxKeyBytes ? Name::wrong : Name::known;
}

Error PageCheck::misnamed(std::string_view text) {
  if (text.size() > kMaxKeyBytes) return corrupt(format("the list has a key of {} bytes", text.size()));
  return corrupt(format("the list has a key that is not encoded as it says: '{}'", shown(text)));
}

Error PageCheck::misplaced(std::string_view key, std::string_view previous) const {
  if (key.empty()) return corrupt("the list has an object without a key");
  if (!key.starts_with(rules_.prefix)) {
    return corrupt(format("the list of '{}' has the key '{}': the server does not heed the prefix", shown(rules_.prefix), shown(key)));
  }
  return corrupt(format("the list is not in the order of keys: '{}' comes after '{}'", shown(key), shown(previous)));
}

Result<void> PageCheck::objects(ObjectPage& page, ListHead& head) {
  page.reserve(list_.objects.size());
  std::string_view previous = rules_.previous;
  for (const ListText::Object& object : list_.objects) {
    std::string_view key = object.key;
    const Name name = decode(key);
    if (name == Name::unknown) continue;
    if (name == Name::wrong) return misnamed(key);
    if (!is_placed(key, previous)) return misplaced(key, previous);
    const auto size = number(object.size);
    if (!size) return corrupt(format("the size of '{}' is no number: '{}'", shown(key), shown(object.size)));
    page.add_inside({.key = key, .etag = object.etag, .version_id = {}, .size_bytes = *size, .last_modified = list_date(object.date)});
    previous = key;
  }
  if (!page.empty()) head.last_key = previous;
  return {};
}

Result<void> PageCheck::common_prefixes(ListHead& head) {
  for (std::string_view group : list_.common_prefixes) {
    const Name name = decode(group);
    if (name == Name::unknown) continue;
    if (name == Name::wrong) return misnamed(group);
    const std::string_view previous = head.common_prefixes.empty() ? std::string_view() : head.common_prefixes.back();
    if (!is_placed(group, previous)) return misplaced(group, previous);
    if (group.size() == rules_.prefix.size()) return corrupt(format("the list of '{}' has itself for a group", shown(group)));
    head.common_prefixes.emplace_back(group);
  }
  return {};
}

Result<ListHead> read_into(ObjectPage& page, std::string& body, const ListRules& rules) {
  std::optional<ListText> list = scan_list_page(body);
  if (!list) {
    TRY_ASSIGN(list, parse_list_page(body));
  }
  PageCheck check(*list, rules, body);
  TRY_ASSIGN(ListHead head, check.head());
  TRY(check.objects(page, head));
  TRY(check.common_prefixes(head));
  return head;
}

}  // namespace

Result<ListHead> read_list_page(std::string body, const ListRules& rules, ObjectPage& page) {
  auto head = read_into(page, page.adopt(std::move(body)), rules);
  if (!head) page.clear();
  return head;
}

}  // namespace heimdall
