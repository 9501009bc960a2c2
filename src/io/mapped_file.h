#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/error.h"

namespace heimdall {

// A file mapped for reading. Move-only; the mapping outlives the file's name and descriptor.
class MappedFile {
 public:
  // All `size` bytes of the open file `fd`.
  static Result<MappedFile> map(int fd, std::size_t size);
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile();

  std::size_t size() const { return size_; }
  // `count` numbers at byte `offset`, a multiple of 8 and inside the file.
  std::span<const std::uint64_t> u64s(std::size_t offset, std::size_t count) const;

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace heimdall
