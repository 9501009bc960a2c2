#include "store/s3/list_scanner.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "store/s3/byte_search.h"

namespace heimdall {

namespace {

constexpr std::size_t kBytesPerKey = 192;  // at least, in practice

struct Entity {
  char meaning = '\0';
  std::size_t size = 0;  // of its text; 0: not one that is known here
};

// "&#34;" and "&#x22;", of ASCII without zero.
Entity numeric_entity(std::string_view text) {
  const bool is_hex = text.starts_with("&#x");
  const std::size_t begin = is_hex ? 3 : 2;
  unsigned value = 0;
  const auto digits = text.substr(begin, 4);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, is_hex ? 16 : 10);
  if (error != std::errc() || end == digits.data() + digits.size() || *end != ';' || value == 0 || value > 127) return {};
  return {static_cast<char>(value), begin + static_cast<std::size_t>(end - digits.data()) + 1};
}

// At the beginning of `text`.
Entity entity_of(std::string_view text) {
  if (text.starts_with("&amp;")) return {'&', 5};
  if (text.starts_with("&lt;")) return {'<', 4};
  if (text.starts_with("&gt;")) return {'>', 4};
  if (text.starts_with("&quot;")) return {'"', 6};
  if (text.starts_with("&apos;")) return {'\'', 6};
  return text.starts_with("&#") ? numeric_entity(text) : Entity();
}

// Replaces the entities of `text`, all of which are known, where it lies in `body`.
void unescape(std::string_view& text, std::string& body) {
  std::size_t in = text.find('&');
  if (in == std::string_view::npos) return;
  char* const begin = body.data() + (text.data() - body.data());
  std::size_t out = in;
  while (in < text.size()) {
    const Entity entity = text[in] == '&' ? entity_of(text.substr(in)) : Entity{text[in], 1};
    begin[out++] = entity.meaning;
    in += entity.size;
  }
  text = text.substr(0, out);
}

// Walks over a body without changing it. A method that returns false has met what it does not understand, and the walk is over.
template <class Bytes>
class Scanner {
 public:
  explicit Scanner(std::string_view body) : at_(body.data()), end_(body.data() + body.size()) {}

  bool read(ListText& list) {
    list.objects.reserve(std::min(kMaxKeysOfPage, static_cast<std::size_t>(end_ - at_) / kBytesPerKey));
    skip_blanks();
    if (!skip_declaration() || !open_root()) return false;
    for (skip_blanks(); !take("</ListBucketResult>"); skip_blanks()) {
      if (take("<Contents>") ? !read_contents(list) : !read_about(list)) return false;
    }
    skip_blanks();
    return at_ == end_;
  }
  bool has_entities() const { return has_entities_; }

 private:
  template <std::size_t N>
  bool take(const char (&literal)[N]) {
    if (static_cast<std::size_t>(end_ - at_) < N - 1 || std::memcmp(at_, literal, N - 1) != 0) return false;
    at_ += N - 1;
    return true;
  }
  void skip_blanks() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  std::string_view since(const char* begin) const { return {begin, static_cast<std::size_t>(at_ - begin)}; }

  bool skip_declaration() {
    if (!take("<?xml ")) return true;
    at_ = Bytes::template find<'?', '<', '>', '\0'>(at_, end_);
    if (!take("?>")) return false;
    skip_blanks();
    return true;
  }
  bool open_root() {
    if (!take("<ListBucketResult")) return false;
    if (take(" xmlns=\"")) {
      at_ = Bytes::template find<'"', '<', '&', '\0'>(at_, end_);
      if (!take("\"")) return false;
    }
    return take(">");
  }

  // One element of the root that is not Contents.
  bool read_about(ListText& list) {
    if (take("<KeyCount>")) {
      if (list.key_count) return false;
      return read_plain(list.key_count.emplace()) && take("</KeyCount>");
    }
    if (take("<IsTruncated>")) return is_first(list.is_truncated) && read_plain(list.is_truncated) && take("</IsTruncated>");
    if (take("<EncodingType>")) return is_first(list.encoding_type) && read_plain(list.encoding_type) && take("</EncodingType>");
    if (take("<NextContinuationToken>")) {
      return is_first(list.next_token) && read_text(list.next_token) && take("</NextContinuationToken>");
    }
    if (take("<Prefix/>") || take("<Delimiter/>") || take("<StartAfter/>")) return true;
    return skip_leaf();
  }

  // What stands behind <Contents>.
  bool read_contents(ListText& list) {
    if (list.objects.size() == kMaxKeysOfPage) return false;
    ListText::Object& object = list.objects.emplace_back();
    for (;;) {
      skip_blanks();
      if (end_ - at_ < 2 || *at_ != '<') return false;
      bool is_understood = false;
      switch (at_[1]) {
        case '/': return take("</Contents>");
        case 'K': is_understood = take("<Key>") && is_first(object.key) && read_text(object.key) && take("</Key>"); break;
        case 'L':
          is_understood = take("<LastModified>") && is_first(object.date) && read_plain(object.date) && take("</LastModified>");
          break;
        case 'E': is_understood = take("<ETag>") && is_first(object.etag) && read_etag(object.etag) && take("</ETag>"); break;
        case 'S':
          if (take("<Size>")) is_understood = is_first(object.size) && read_plain(object.size) && take("</Size>");
          else if (take("<StorageClass>")) is_understood = skip_text() && take("</StorageClass>");
          else is_understood = skip_leaf();
          break;
        case 'C':
          if (take("<ChecksumAlgorithm>")) is_understood = skip_text() && take("</ChecksumAlgorithm>");
          else if (take("<ChecksumType>")) is_understood = skip_text() && take("</ChecksumType>");
          else is_understood = skip_leaf();
          break;
        case 'O': is_understood = take("<Owner>") && skip_leaves() && take("</Owner>"); break;
        case 'R': is_understood = take("<RestoreStatus>") && skip_leaves() && take("</RestoreStatus>"); break;
        default: is_understood = skip_leaf();
      }
      if (!is_understood) return false;
    }
  }

  // Where an element stands twice, which one counts is left to the exact reader.
  static bool is_first(std::string_view text) { return text.data() == nullptr; }

  // Text without entities, up to the next tag.
  bool read_plain(std::string_view& text) {
    const char* const begin = at_;
    at_ = Bytes::template find<'<', '&', '\0'>(at_, end_);
    text = since(begin);
    return at_ != end_ && *at_ == '<';
  }

  // Text with known entities, up to the next tag.
  bool read_text(std::string_view& text) {
    const char* const begin = at_;
    for (;;) {
      at_ = Bytes::template find<'<', '&', '\0'>(at_, end_);
      if (at_ == end_ || *at_ == '\0') return false;
      text = since(begin);
      if (*at_ == '<') return true;
      const std::size_t size = entity_of({at_, static_cast<std::size_t>(end_ - at_)}).size;
      if (size == 0) return false;
      at_ += size;
      has_entities_ = true;
    }
  }

  // Any text with known entities, up to the next tag.
  bool skip_text() {
    for (;;) {
      at_ = Bytes::template find<'<', '&', '\0'>(at_, end_);
      if (at_ == end_ || *at_ == '\0') return false;
      if (*at_ == '<') return true;
      const std::size_t size = entity_of({at_, static_cast<std::size_t>(end_ - at_)}).size;
      if (size == 0) return false;
      at_ += size;
    }
  }

  bool take_quote() { return take("&#34;") || take("&quot;"); }

  // Entities are its quotes or nothing.
  bool read_etag(std::string_view& etag) {
    if (!take_quote()) {
      if (!read_plain(etag)) return false;
      etag = without_quotes(etag);
      return true;
    }
    const char* const begin = at_;
    at_ = Bytes::template find<'<', '&', '\0'>(at_, end_);
    etag = since(begin);
    return take_quote();
  }

  // <Name>text</Name>, whatever the name, of which nothing is read. (Frequent ones are spelled out above, which is faster.)
  bool skip_leaf() {
    if (at_ == end_ || *at_ != '<') return false;
    const char* const begin = ++at_;
    while (at_ != end_ && ((*at_ >= 'A' && *at_ <= 'Z') || (*at_ >= 'a' && *at_ <= 'z'))) ++at_;
    const std::string_view name = since(begin);
    if (name.empty() || name == "CommonPrefixes" || name == "Error" || !take(">")) return false;
    if (!skip_text() || !take("</") || static_cast<std::size_t>(end_ - at_) < name.size() || std::memcmp(at_, name.data(), name.size()) != 0) return false;
    at_ += name.size();
    return take(">");
  }
  // As many as there are.
  bool skip_leaves() {
    for (;;) {
      skip_blanks();
      if (end_ - at_ < 2 || *at_ != '<') return false;
      if (at_[1] == '/') return true;
      if (!skip_leaf()) return false;
    }
  }

  const char* at_;
  const char* const end_;
  bool has_entities_ = false;
};

template <class Bytes>
std::optional<ListText> scan(std::string& body) {
  std::optional<ListText> list(std::in_place);
  Scanner<Bytes> scanner(body);
  if (!scanner.read(*list)) return std::nullopt;
  if (scanner.has_entities()) {
    for (ListText::Object& object : list->objects) unescape(object.key, body);
    unescape(list->next_token, body);
  }
  return list;
}

}  // namespace

std::optional<ListText> scan_list_page(std::string& body, ByteSearch search) {
  return search == ByteSearch::simd ? scan<SimdBytes>(body) : scan<PlainBytes>(body);
}

}  // namespace heimdall
