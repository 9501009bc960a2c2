#include "io/u64_array.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <new>

#include "base/format.h"
#include "io/file.h"

namespace heimdall {

GrowingU64::~GrowingU64() {
  if (data_ != nullptr) munmap(data_, capacity_ * sizeof(std::uint64_t));
}

void GrowingU64::grow() {
  constexpr std::size_t kFirst = 1 << 16;
  const std::size_t capacity = capacity_ == 0 ? kFirst : capacity_ * 2;
  const std::size_t bytes = capacity * sizeof(std::uint64_t);
  void* data = data_ == nullptr
                   ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                   : mremap(data_, capacity_ * sizeof(std::uint64_t), bytes, MREMAP_MAYMOVE);
  if (data == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::uint64_t*>(data);
  capacity_ = capacity;
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  TRY_ASSIGN(const UniqueFd fd, open_file(path, O_RDONLY, "file"));
  struct stat st{};
  if (fstat(fd.get(), &st) != 0) return system_error(errno, format("cannot stat '{}'", path.string()));
  MappedFile file;
  file.size_ = static_cast<std::size_t>(st.st_size);
  if (file.size_ == 0) return file;
  void* data = mmap(nullptr, file.size_, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED) return system_error(errno, format("cannot map '{}'", path.string()));
  file.data_ = data;
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
