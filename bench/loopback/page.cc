#include "loopback/page.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/format.h"

namespace heimdall::loopback {

namespace {

constexpr std::string_view kBeforeKey = "<Contents><Key>";
constexpr std::string_view kEtagMark = "<ETag>&#34;", kSizeMark = "<Size>";
constexpr std::size_t kMostBytesPerByte = 6;  // "&quot;"

char* put(std::string_view text, char* out) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

bool stays_in_urls(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("/-_.*").find(c) != std::string_view::npos;
}

// XML has no way to write most control characters; who lists keys with them asks for encoding-type=url.
char* put_xml(std::string_view text, char* out) {
  for (const char c : text) {
    switch (c) {
      case '&': out = put("&amp;", out); break;
      case '<': out = put("&lt;", out); break;
      case '>': out = put("&gt;", out); break;
      case '"': out = put("&#34;", out); break;
      case '\'': out = put("&#39;", out); break;
      default: *out++ = c;
    }
  }
  return out;
}

char* put_url(std::string_view text, char* out) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (const char c : text) {
    if (stays_in_urls(c)) {
      *out++ = c;
    } else if (c == ' ') {
      *out++ = '+';
    } else {
      const auto byte = static_cast<unsigned char>(c);
      *out++ = '%';
      *out++ = digits[byte / 16];
      *out++ = digits[byte % 16];
    }
  }
  return out;
}

template <class Put>
std::string written(std::string_view text, Put put_text) {
  std::string out(text.size() * kMostBytesPerByte, '\0');
  out.resize(static_cast<std::size_t>(put_text(text, out.data()) - out.data()));
  return out;
}

}  // namespace

std::string url_encoded(std::string_view text) { return written(text, put_url); }
std::string xml_escaped(std::string_view text) { return written(text, put_xml); }

// Where a page is being written.
struct PageWriter::Walk {
  const PageQuery& query;
  std::uint64_t next;  // number of the key that comes
  std::uint64_t end;   // behind the last one with the prefix
  char* out;
  std::size_t count = 0;
  std::string common_prefixes = {};
};

PageWriter::PageWriter(const KeySpace& keys, const DeletedSet& deleted, std::string bucket, const std::string& last_modified)
    : keys_(keys), deleted_(deleted), bucket_(std::move(bucket)),
      entry_(format("</Key><LastModified>{}</LastModified>{}{:32}&#34;</ETag>{}0000</Size><StorageClass>STANDARD</StorageClass></Contents>",
                    last_modified, kEtagMark, "", kSizeMark)),
      etag_at_(entry_.find(kEtagMark) + kEtagMark.size()),
      size_at_(entry_.find(kSizeMark) + kSizeMark.size()) {}

std::uint64_t PageWriter::next_present(std::uint64_t i) const { return deleted_.size() == 0 ? i : deleted_.next_absent(i); }

char* PageWriter::write_entry(std::uint64_t i, std::string_view key, bool is_url_encoded, char* out) const {
  out = put(kBeforeKey, out);
  if (keys_.is_plain()) out = put(key, out);
  else out = is_url_encoded ? put_url(key, out) : put_xml(key, out);
  char* const rest = out;
  out = put(entry_, out);
  write_etag(i, rest + etag_at_);
  std::to_chars(rest + size_at_, rest + size_at_ + 4, object_size(i));
  return out;
}

// Whether the key that comes belongs to a common prefix; then all of that are passed.
bool PageWriter::take_common_prefix(Walk& walk) const {
  const std::string key = keys_.key(walk.next);
  const std::size_t at = key.find(walk.query.delimiter, walk.query.prefix.size());
  if (at == std::string::npos) return false;
  const std::string common = key.substr(0, at + walk.query.delimiter.size());
  walk.next = next_present(keys_.end_of_prefix(common, walk.next));
  // A start inside of it is behind its name.
  if (walk.query.token.empty() && common <= walk.query.start_after) return true;
  walk.common_prefixes += format("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                                 walk.query.is_url_encoded ? url_encoded(common) : xml_escaped(common));
  ++walk.count;
  return true;
}

void PageWriter::add_key(std::uint64_t i, Walk& walk) const {
  std::array<char, KeySpace::kMaxKeyBytes> key;
  const auto size = static_cast<std::size_t>(keys_.write_key(i, key.data()) - key.data());
  walk.out = write_entry(i, {key.data(), size}, walk.query.is_url_encoded, walk.out);
  ++walk.count;
}

bool PageWriter::write(const PageQuery& query, Page& page) const {
  std::uint64_t first = 0;
  if (!query.token.empty()) {
    const auto [end, error] = std::from_chars(query.token.data(), query.token.data() + query.token.size(), first);
    if (error != std::errc() || end != query.token.data() + query.token.size()) return false;
  } else if (!query.start_after.empty()) {
    first = keys_.upper_bound(query.start_after);
  }
  if (!query.prefix.empty()) first = std::max(first, keys_.lower_bound(query.prefix));
  const std::uint64_t end = query.prefix.empty() ? keys_.count() : keys_.end_of_prefix(query.prefix);

  const std::size_t most = std::min<std::size_t>(query.max_keys, 1000);
  const std::size_t bytes_per_key = kBeforeKey.size() + entry_.size() + KeySpace::kMaxKeyBytes * (keys_.is_plain() ? 1 : kMostBytesPerByte);
  page.entries = std::make_unique_for_overwrite<char[]>(most * bytes_per_key + 1);
  Walk walk{query, next_present(first), end, page.entries.get()};
  while (walk.count < most && walk.next < walk.end) {
    if (!query.delimiter.empty() && take_common_prefix(walk)) continue;
    add_key(walk.next, walk);
    walk.next = next_present(walk.next + 1);
  }
  page.entries_size = static_cast<std::size_t>(walk.out - page.entries.get());
  page.key_count = walk.count;

  const bool is_truncated = walk.next < walk.end && most > 0;
  const auto shown = [&](std::string_view text) { return query.is_url_encoded ? url_encoded(text) : xml_escaped(text); };
  page.head = format(R"(<?xml version="1.0" encoding="UTF-8"?>)"
                     "\n"
                     R"(<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{}</Name><Prefix>{}</Prefix>)",
                     bucket_, shown(query.prefix));
  if (!query.start_after.empty()) page.head += format("<StartAfter>{}</StartAfter>", shown(query.start_after));
  if (!query.token.empty()) page.head += format("<ContinuationToken>{}</ContinuationToken>", query.token);
  if (is_truncated) page.head += format("<NextContinuationToken>{}</NextContinuationToken>", walk.next);
  page.head += format("<KeyCount>{}</KeyCount><MaxKeys>{}</MaxKeys><Delimiter>{}</Delimiter><IsTruncated>{}</IsTruncated>", walk.count,
                      query.max_keys, shown(query.delimiter), is_truncated);
  page.tail = walk.common_prefixes + (query.is_url_encoded ? "<EncodingType>url</EncodingType>" : "") + "</ListBucketResult>";
  return true;
}

}  // namespace heimdall::loopback
