#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace heimdall {

// The name of an object in its bucket: bytes, compared as unsigned bytes, never normalised, not necessarily UTF-8.
class ObjectKey {
 public:
  ObjectKey() = default;
  explicit ObjectKey(std::string bytes) : bytes_(std::move(bytes)) {}
  const std::string& bytes() const { return bytes_; }
  auto operator<=>(const ObjectKey&) const = default;

 private:
  std::string bytes_;
};

// What a store tells of one object. Two equal values are the same object, unchanged.
struct ObjectMeta {
  ObjectKey key;
  std::uint64_t size_bytes = 0;
  std::optional<Timestamp> last_modified;  // nullopt: the store's date did not parse. Unknown means keep.
  std::string etag;                        // opaque; differs when the object was rewritten
  std::string version_id;                  // empty where the bucket has no versions
  bool operator==(const ObjectMeta&) const = default;
};

// ObjectMeta without owning it: valid as long as its page is neither changed nor cleared.
struct ObjectView {
  std::string_view key;
  std::string_view etag;
  std::string_view version_id;
  std::uint64_t size_bytes = 0;
  std::optional<Timestamp> last_modified;

  ObjectMeta to_meta() const {
    return {ObjectKey(std::string(key)), size_bytes, last_modified, std::string(etag), std::string(version_id)};
  }
};

// Some objects in one buffer, so that a listing does not allocate per key. Reused from page to page.
class ObjectPage {
 public:
  void clear() {
    bytes_.clear();
    entries_.clear();
  }
  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }

  void add(const ObjectView& object) {
    entries_.push_back({bytes_.size(), object.key.size(), object.etag.size(), object.version_id.size(),
                        object.size_bytes, object.last_modified});
    bytes_.append(object.key).append(object.etag).append(object.version_id);
  }

  ObjectView operator[](std::size_t i) const {
    const Entry& e = entries_[i];
    const std::string_view all(bytes_);
    return {all.substr(e.offset, e.key_size), all.substr(e.offset + e.key_size, e.etag_size),
            all.substr(e.offset + e.key_size + e.etag_size, e.version_size), e.size_bytes, e.last_modified};
  }

 private:
  struct Entry {
    std::size_t offset, key_size, etag_size, version_size;
    std::uint64_t size_bytes;
    std::optional<Timestamp> last_modified;
  };
  std::string bytes_;
  std::vector<Entry> entries_;
};

// Our own keys inside a bucket: never listed, counted, planned or deleted.
inline bool is_reserved_key(std::string_view key) {
  return key.starts_with(".heimdall-storage/") || key.starts_with(".heimdall-trash/");
}

// Zero-byte keys that end in '/' stand for folders: kept, counted as protected.
inline bool is_folder_marker(std::string_view key, std::uint64_t size_bytes) {
  return size_bytes == 0 && key.ends_with('/');
}

}  // namespace heimdall
