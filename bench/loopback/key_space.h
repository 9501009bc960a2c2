#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace heimdall::loopback {

enum class Shape {
  flat,          // one directory of uuids
  hierarchical,  // synthetic/<uuid>/sample-N/rx_M.npy: 5 files per sample, 1000 samples per data set
  skewed,        // 1000 directories; the one of rank r holds a share of 1/r^2
  giant,         // one directory with all but some thousand keys, which lie beside it
  adversarial,   // directories D/ beside 1250 siblings D-... and 1250 D....; names that need encoding in URLs and XML
};
std::optional<Shape> parse_shape(std::string_view name);

// `count` keys, none of which is kept: key number i is computed from i, and keys grow with their numbers, byte by byte. Thread-safe.
class KeySpace {
 public:
  static constexpr std::size_t kMaxKeyBytes = 96;

  KeySpace(Shape shape, std::uint64_t count);

  std::uint64_t count() const { return count_; }
  // Whether no key needs encoding, in URLs or in XML.
  bool is_plain() const { return shape_ != Shape::adversarial; }

  // Writes key number i to `out`, which has room for kMaxKeyBytes; returns its end.
  char* write_key(std::uint64_t i, char* out) const;
  std::string key(std::uint64_t i) const;

  // The first number from `from` on whose key is not less than `bound`; count() if there is none.
  std::uint64_t lower_bound(std::string_view bound, std::uint64_t from = 0) const;
  // ... whose key is greater.
  std::uint64_t upper_bound(std::string_view bound) const;
  // ... whose key is behind all keys that begin with `prefix`.
  std::uint64_t end_of_prefix(std::string_view prefix, std::uint64_t from = 0) const;
  std::optional<std::uint64_t> find(std::string_view key) const;

 private:
  // Consecutive numbers whose keys lie in one directory.
  struct Directory {
    std::string path;         // ends in '/', or is empty
    std::uint64_t first = 0;  // number
    std::uint64_t step = 0;   // between the beginnings of two names
  };

  void add_directory(std::string path, std::uint64_t size);
  void lay_out_skewed();
  void lay_out_giant();
  char* write_in_directory(std::uint64_t i, char* out) const;
  char* write_hierarchical(std::uint64_t i, char* out) const;

  const Shape shape_;
  const std::uint64_t count_;
  std::vector<Directory> directories_;  // flat, skewed, giant; in order
  std::uint64_t laid_out_ = 0;
  std::uint64_t dataset_step_ = 0;  // hierarchical
};

// What is told of object number i beside its key.
constexpr std::uint64_t object_size(std::uint64_t i) { return 1000 + i % 9000; }  // always four digits
// 32 hexadecimal digits.
char* write_etag(std::uint64_t i, char* out);

}  // namespace heimdall::loopback
