#include "io/growing_array.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <new>

namespace heimdall {

namespace {

constexpr std::size_t kFirst = std::size_t{1} << 19;
// Huge pages from here on: a small array must not be rounded up to one.
constexpr std::size_t kHugeFrom = std::size_t{1} << 25;

}  // namespace

Pages::~Pages() {
  if (data_ != nullptr) munmap(data_, size_);
}

void Pages::grow() {
  const std::size_t size = std::max(kFirst, size_ * 2);
  void* data = data_ == nullptr ? mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                                : mremap(data_, size_, size, MREMAP_MAYMOVE);
  if (data == MAP_FAILED) throw std::bad_alloc();
  data_ = data;
  size_ = size;
  if (size_ >= kHugeFrom) madvise(data_, size_, MADV_HUGEPAGE);  // a wish
}

void Pages::release(std::size_t from, std::size_t to) {
  static const auto kPage = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  from = (from + kPage - 1) / kPage * kPage;
  to = std::min(to, size_) / kPage * kPage;
  if (from < to) madvise(static_cast<char*>(data_) + from, to - from, MADV_DONTNEED);
}

}  // namespace heimdall
