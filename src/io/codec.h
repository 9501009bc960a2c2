#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace heimdall {

// The encoding inside records: varints, length-prefixed bytes, optional times. The reader never reads past the end; it
// turns bad instead, once for all, and the caller asks ok() at the end.

inline void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 128) {
    out += static_cast<char>(value | 128U);
    value >>= 7U;
  }
  out += static_cast<char>(value);
}

inline void append_bytes(std::string& out, std::string_view bytes) {
  append_varint(out, bytes.size());
  out += bytes;
}

// Zigzag, so that times before 1970 stay short.
inline void append_time(std::string& out, const std::optional<Timestamp>& time) {
  out += time ? '\1' : '\0';
  if (!time) return;
  const std::int64_t ns = time->time_since_epoch().count();
  append_varint(out, (static_cast<std::uint64_t>(ns) << 1U) ^ static_cast<std::uint64_t>(ns >> 63));
}

class RecordDecoder {
 public:
  explicit RecordDecoder(std::string_view record) : rest_(record) {}

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 127U) << shift;
      if ((byte & 128U) == 0) return value;
    }
    ok_ = false;
    return 0;
  }

  std::string_view bytes() {
    const std::uint64_t size = varint();
    if (size > rest_.size()) ok_ = false;
    if (!ok_) return {};
    const std::string_view result = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return result;
  }

  std::optional<Timestamp> time() {
    if (varint() == 0) return std::nullopt;
    const std::uint64_t value = varint();
    const auto ns = static_cast<std::int64_t>(value >> 1U) ^ -static_cast<std::int64_t>(value & 1U);
    return Timestamp(std::chrono::nanoseconds(ns));
  }

  // Whether everything read so far was there.
  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace heimdall
