#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>

#include "base/error.h"

namespace heimdall {

// A growing array of 64-bit numbers in anonymous memory. Grows by moving pages, not bytes, so that it never holds itself twice. Move-only.
class GrowingU64 {
 public:
  GrowingU64() = default;
  GrowingU64(GrowingU64&& other) noexcept { swap(other); }
  GrowingU64& operator=(GrowingU64&& other) noexcept {
    swap(other);
    return *this;
  }
  ~GrowingU64();

  // Throws std::bad_alloc without memory: the run ends, nothing is half done.
  void push(std::uint64_t value) {
    if (size_ == capacity_) grow();
    data_[size_++] = value;
  }
  std::span<std::uint64_t> values() { return {data_, size_}; }
  void truncate(std::size_t size) { size_ = size; }

 private:
  void grow();
  void swap(GrowingU64& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }
  std::uint64_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// A file mapped for reading. Move-only; the mapping outlives the file's name.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::filesystem::path& path);
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
