#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace heimdall {

// The names of one directory, in the byte order of the keys they stand for: a directory counts as its name + '/'. One buffer for all names. Reused
// from directory to directory. Not thread-safe.
class DirectoryNames {
 public:
  enum class Type : std::uint8_t { file, directory, unknown };

  // Reads all of the directory `fd` (opened for reading, at its start). Names that can be no object (sockets, devices) are left out, links are kept apart; where the
  // file system does not tell types, those are `unknown` and must be found out before sort(). Errors are errno values, 0 is success.
  int read(int fd, std::vector<char>& buffer);
  void sort();

  std::size_t size() const { return entries_.size(); }
  Type type(std::size_t i) const { return entries_[i].type; }
  void set_type(std::size_t i, Type type) { entries_[i].type = type; }
  // Leaves out entry `i`; the last one takes its place. Before sort() only.
  void swap_out(std::size_t i);

  // The names of symbolic links, in no order.
  const std::vector<std::string>& links() const { return links_; }
  void add_link(std::string_view name) { links_.emplace_back(name); }

  std::string_view name(std::size_t i) const { return {arena_.data() + entries_[i].offset, entries_[i].size}; }
  // NUL-terminated, for system calls.
  const char* c_name(std::size_t i) const { return arena_.data() + entries_[i].offset; }

 private:
  // `head` is the first eight bytes behind what all names share, as a big-endian number: most comparisons touch no name.
  struct Entry {
    std::uint64_t head;
    std::size_t offset;
    std::uint32_t size;
    Type type;
  };
  bool before(const Entry& a, const Entry& b) const;

  std::string arena_;
  std::vector<Entry> entries_;
  std::vector<std::string> links_;
};

}  // namespace heimdall
