#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "loopback/deleted_set.h"
#include "loopback/key_space.h"

namespace heimdall::loopback {

// What one ListObjectsV2 asks for.
struct PageQuery {
  std::string prefix;
  std::string start_after;
  std::string token;  // empty: from the beginning, or behind start_after
  std::string delimiter;
  std::size_t max_keys = 1000;
  bool is_url_encoded = false;
};

// One page as it goes out: the head is known only when the entries are.
struct Page {
  std::string head;
  std::unique_ptr<char[]> entries;
  std::size_t entries_size = 0;
  std::string tail;
  std::size_t key_count = 0;  // keys and common prefixes
};

// Writes pages as MinIO does, field by field. A token is the number of the next key, so it means the same at any later time.
class PageWriter {
 public:
  // `last_modified` as it stands in lists: "2026-06-01T00:00:00.000Z".
  PageWriter(const KeySpace& keys, const DeletedSet& deleted, std::string bucket, const std::string& last_modified);

  // False for a token that is none.
  bool write(const PageQuery& query, Page& page) const;

 private:
  struct Walk;
  char* write_entry(std::uint64_t i, std::string_view key, bool is_url_encoded, char* out) const;
  void add_key(std::uint64_t i, Walk& walk) const;
  bool take_common_prefix(Walk& walk) const;
  std::uint64_t next_present(std::uint64_t i) const;

  const KeySpace& keys_;
  const DeletedSet& deleted_;
  const std::string bucket_;
  const std::string entry_;  // what follows a key, with room for ETag and size
  const std::size_t etag_at_, size_at_;
};

// As MinIO: letters, digits and "/-_.*" stay, a blank is '+'.
std::string url_encoded(std::string_view text);
std::string xml_escaped(std::string_view text);

}  // namespace heimdall::loopback
