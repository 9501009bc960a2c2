#pragma once

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace heimdall {

// Anonymous memory that grows by moving pages, not bytes, so that it never holds itself twice. In huge pages where the system has
// them. Move-only.
class Pages {
 public:
  Pages() = default;
  Pages(Pages&& other) noexcept { swap(other); }
  Pages& operator=(Pages&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Pages();

  void* data() const { return data_; }
  std::size_t size() const { return size_; }
  // At least doubles it; what is new reads as zero. Throws std::bad_alloc without memory: the run ends, nothing is half done.
  void grow();
  // Gives whole pages inside [from, to) back to the system: they read as zero afterwards.
  void release(std::size_t from, std::size_t to);

 private:
  void swap(Pages& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

// A growing array of plain records in such pages. Move-only.
template <class Record>
class GrowingArray {
  static_assert(std::is_trivially_copyable_v<Record>);

 public:
  GrowingArray() = default;
  GrowingArray(GrowingArray&& other) noexcept { swap(other); }
  GrowingArray& operator=(GrowingArray&& other) noexcept {
    swap(other);
    return *this;
  }

  // Throws std::bad_alloc without memory.
  void push(const Record& value) {
    if (size_ == capacity_) grow();
    data_[size_++] = value;
  }
  std::size_t size() const { return size_; }
  std::span<Record> values() { return {data_, size_}; }
  void truncate(std::size_t size) { size_ = size; }
  // The first `count` records are never read again: their memory, up to the last whole page, goes back to the system.
  void release_front(std::size_t count) { pages_.release(0, count * sizeof(Record)); }
  void clear() {
    pages_.release(0, pages_.size());
    size_ = 0;
  }

 private:
  void grow() {
    pages_.grow();
    data_ = static_cast<Record*>(pages_.data());
    capacity_ = pages_.size() / sizeof(Record);
  }
  void swap(GrowingArray& other) {
    std::swap(pages_, other.pages_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }
  Pages pages_;
  Record* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace heimdall
