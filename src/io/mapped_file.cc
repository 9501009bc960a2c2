#include "io/mapped_file.h"

#include <sys/mman.h>

#include <cerrno>

namespace heimdall {

Result<MappedFile> MappedFile::map(int fd, std::size_t size) {
  MappedFile file;
  if (size == 0) return file;
  void* data = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return system_error(errno, "cannot map a file into memory");
  file.data_ = data;
  file.size_ = size;
  return file;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

std::span<const std::uint64_t> MappedFile::u64s(std::size_t offset, std::size_t count) const {
  if (count == 0) return {};
  return {reinterpret_cast<const std::uint64_t*>(static_cast<const char*>(data_) + offset), count};
}

}  // namespace heimdall
