#include "loopback/expected.h"

#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/format.h"

namespace heimdall::loopback {

namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

// The sizes of the objects 0, step, 2 * step, ... below `count`, which repeat after at most 9000 of them.
std::uint64_t sum_of_sizes(std::uint64_t count, std::uint64_t step) {
  constexpr std::uint64_t kPeriod = 9000;
  const std::uint64_t n = (count + step - 1) / step;
  std::uint64_t period = 0, rest = 0;
  for (std::uint64_t j = 0; j < kPeriod; ++j) {
    const std::uint64_t size = object_size(j * step);
    period += size;
    if (j < n % kPeriod) rest += size;
  }
  return n / kPeriod * period + rest;
}

bool write_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace

Expected expected_of(const References& references) {
  const std::uint64_t count = references.keys.count(), every = references.orphan_every;
  const std::uint64_t orphans = every == 0 ? 0 : (count + every - 1) / every;
  return {.total_objects = count,
          .total_bytes = sum_of_sizes(count, 1),
          .references = count - orphans + references.dangling,
          .referenced_objects = count - orphans,
          .orphans_found = orphans,
          .orphan_bytes = every == 0 ? 0 : sum_of_sizes(count, every),
          .dangling_references = references.dangling};
}

std::string to_json(const Expected& e) {
  return format(R"({{"total_objects":{},"total_bytes":{},"references":{},"referenced_objects":{},"orphans_found":{},"orphan_bytes":{},)"
                R"("dangling_references":{}}})",
                e.total_objects, e.total_bytes, e.references, e.referenced_objects, e.orphans_found, e.orphan_bytes, e.dangling_references);
}

bool write_references(const References& references, int fd) {
  const auto buffer = std::make_unique<char[]>(kBufferBytes);
  char* end = buffer.get();
  const auto flush_if = [&](bool is_due) {
    if (!is_due) return true;
    const bool written = write_all(fd, buffer.get(), static_cast<std::size_t>(end - buffer.get()));
    end = buffer.get();
    return written;
  };
  const auto is_full = [&] { return kBufferBytes - static_cast<std::size_t>(end - buffer.get()) <= KeySpace::kMaxKeyBytes; };

  std::uint64_t until_orphan = 0;
  for (std::uint64_t i = 0; i < references.keys.count(); ++i) {
    if (references.orphan_every != 0 && until_orphan-- == 0) {
      until_orphan = references.orphan_every - 1;
      continue;
    }
    end = references.keys.write_key(i, end);
    *end++ = '\n';
    if (!flush_if(is_full())) return false;
  }
  for (std::uint64_t i = 0; i < references.dangling; ++i) {
    end = fmt::format_to(end, "gone/{:020}.npy\n", i);
    if (!flush_if(is_full())) return false;
  }
  return flush_if(true);
}

}  // namespace heimdall::loopback
