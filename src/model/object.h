#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
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

// Some objects in one buffer, so that a listing does not allocate per key. Reused from page to page. Holds up to 4 GiB; more throws.
class ObjectPage {
 public:
  void clear() {
    bytes_.clear();
    entries_.clear();
  }
  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  void reserve(std::size_t objects) { entries_.reserve(objects); }

  // Copies the object's texts.
  void add(const ObjectView& object) {
    const std::size_t at = bytes_.size();
    bytes_.append(object.key).append(object.etag).append(object.version_id);
    check_size();
    const std::size_t etag_at = at + object.key.size();
    push(object, at, etag_at, etag_at + object.etag.size());
  }

  // Empties the page and takes over what a server sent, for objects whose texts lie in it. The reference holds until the page is changed otherwise
  // than by add_inside(): the texts may still be shortened where they lie.
  std::string& adopt(std::string bytes) {
    clear();
    bytes_ = std::move(bytes);
    check_size();
    return bytes_;
  }
  // Copies nothing: the texts, where they are not empty, lie in what adopt() took over.
  void add_inside(const ObjectView& object) {
    push(object, offset_of(object.key), offset_of(object.etag), offset_of(object.version_id));
  }

  ObjectView operator[](std::size_t i) const {
    const Entry& e = entries_[i];
    const char* const bytes = bytes_.data();
    return {{bytes + e.key_at, e.key_size}, {bytes + e.etag_at, e.etag_size}, {bytes + e.version_at, e.version_size}, e.size_bytes,
            e.last_modified};
  }

  // Takes out the objects for which `keep(ObjectView)` is false.
  template <class Keep>
  void keep_if(Keep keep) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (!keep((*this)[i])) continue;
      if (kept != i) entries_[kept] = entries_[i];
      ++kept;
    }
    entries_.resize(kept);
  }

 private:
  struct Entry {
    std::uint32_t key_at, key_size, etag_at, etag_size, version_at, version_size;
    std::uint64_t size_bytes;
    std::optional<Timestamp> last_modified;
  };
  void check_size() const {
    if (bytes_.size() > std::numeric_limits<std::uint32_t>::max()) throw std::length_error("a page of objects exceeds 4 GiB");
  }
  std::size_t offset_of(std::string_view text) const {
    return text.empty() ? 0 : static_cast<std::size_t>(text.data() - bytes_.data());
  }
  void push(const ObjectView& object, std::size_t key_at, std::size_t etag_at, std::size_t version_at) {
    const auto small = [](std::size_t n) { return static_cast<std::uint32_t>(n); };
    entries_.push_back({small(key_at), small(object.key.size()), small(etag_at), small(object.etag.size()), small(version_at),
                        small(object.version_id.size()), object.size_bytes, object.last_modified});
  }

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
