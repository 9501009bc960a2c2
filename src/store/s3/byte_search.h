#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace heimdall {

// find<'a', 'b'>(begin, end): the first of these bytes, or `end`. Two twins that answer the same: eight bytes at a time on any machine, and
// sixteen where SSE2 is, which every x86-64 has. Texts of lists are some tens of bytes long, so wider registers bring little.

struct PlainBytes {
  template <char... kWanted>
  static const char* find(const char* begin, const char* end) {
    while (end - begin >= 8) {
      std::uint64_t bytes;
      std::memcpy(&bytes, begin, 8);
      if ((has_zero(bytes ^ (kOnes * static_cast<unsigned char>(kWanted))) | ...) != 0) break;
      begin += 8;
    }
    while (begin != end && ((*begin != kWanted) && ...)) ++begin;
    return begin;
  }

 private:
  static constexpr std::uint64_t kOnes = 0x0101010101010101;
  // Not zero exactly if one of the bytes is.
  static std::uint64_t has_zero(std::uint64_t bytes) { return (bytes - kOnes) & ~bytes & (kOnes << 7U); }
};

#ifdef __SSE2__
struct SimdBytes {
  template <char... kWanted>
  static const char* find(const char* begin, const char* end) {
    while (end - begin >= 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(begin));
      __m128i hits = _mm_setzero_si128();
      ((hits = _mm_or_si128(hits, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(kWanted)))), ...);
      const auto mask = static_cast<unsigned>(_mm_movemask_epi8(hits));
      if (mask != 0) return begin + std::countr_zero(mask);
      begin += 16;
    }
    return PlainBytes::find<kWanted...>(begin, end);
  }
};
#else
using SimdBytes = PlainBytes;
#endif

}  // namespace heimdall
