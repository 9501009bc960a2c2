#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace heimdall {

// What one page of ListObjectsV2 says, as text that lies in its body: taken out of XML, nothing believed or converted yet. An element that is
// missing is empty text. Two readers make it, the fast one of list_scanner.h and the exact one of s3_xml.h; list_page.h checks it.
struct ListText {
  struct Object {
    std::string_view key;   // url-encoded if the page is
    std::string_view etag;  // without its quotes
    std::string_view size;
    std::string_view date;
    bool operator==(const Object&) const = default;
  };
  std::vector<Object> objects;
  std::vector<std::string_view> common_prefixes;
  std::string_view encoding_type;
  std::string_view is_truncated;
  std::string_view next_token;
  std::optional<std::string_view> key_count;  // nullopt: not said
  bool operator==(const ListText&) const = default;
};

// No server lists more at once: S3 and those like it stop at 1,000 keys, Ceph's can be told other numbers.
constexpr std::size_t kMaxKeysOfPage = 10'000;

// Without the quotes around it, which some servers leave away.
inline std::string_view without_quotes(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') return etag.substr(1, etag.size() - 2);
  return etag;
}

}  // namespace heimdall
