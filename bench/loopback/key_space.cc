#include "loopback/key_space.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/format.h"

namespace heimdall::loopback {

namespace {

constexpr std::uint64_t kFilesPerSample = 5;
constexpr std::uint64_t kFilesPerDataset = 1000 * kFilesPerSample;
constexpr std::size_t kSkewedDirectories = 1000;
constexpr std::uint64_t kAdversarialGroup = 5000, kDashSiblings = 1250, kDotSiblings = 1250;

// Behind a number, so that they do not touch the order.
constexpr std::array<std::string_view, 8> kOddEnds = {" a blank",     "+plus+",           "%41%2F",     "&<>'\"",
                                                      "\xC3\xBC.npy", "\xE6\x97\xA5.npy", "~(1)*!;=:@", "#?[]{}|^`\\"};

// Scatters: the last step of SplitMix64.
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15U;
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31U);
}

constexpr std::array<char, 512> make_hex_pairs() {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<char, 512> pairs{};
  for (std::size_t i = 0; i < 256; ++i) {
    pairs[2 * i] = digits[i / 16];
    pairs[2 * i + 1] = digits[i % 16];
  }
  return pairs;
}
constexpr std::array<char, 512> kHexPairs = make_hex_pairs();

char* put(std::string_view text, char* out) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

// The lowest `bytes` bytes of `value`, the highest first.
char* put_hex(std::uint64_t value, unsigned bytes, char* out) {
  for (unsigned at = bytes; at-- > 0; out += 2) std::memcpy(out, &kHexPairs[2 * ((value >> (8 * at)) & 0xFFU)], 2);
  return out;
}

char* put_4_digits(std::uint64_t value, char* out) {
  for (int at = 3; at >= 0; --at, value /= 10) out[at] = static_cast<char>('0' + value % 10);
  return out + 4;
}

// Number j of `2^64 / step` values that look random and grow with j.
std::uint64_t scattered(std::uint64_t j, std::uint64_t step) {
  __extension__ using Wide = unsigned __int128;
  return j * step + static_cast<std::uint64_t>((static_cast<Wide>(mix(j)) * step) >> 64U);
}

char* put_uuid(std::uint64_t high, char* out) {
  const std::uint64_t low = mix(high);
  out = put_hex(high >> 32U, 4, out);
  *out++ = '-';
  out = put_hex(high >> 16U, 2, out);
  *out++ = '-';
  out = put_hex(high, 2, out);
  *out++ = '-';
  out = put_hex(low >> 48U, 2, out);
  *out++ = '-';
  return put_hex(low, 6, out);
}

std::uint64_t step_for(std::uint64_t count) { return UINT64_MAX / std::max<std::uint64_t>(1, count); }

char* write_adversarial(std::uint64_t i, char* out) {
  const std::uint64_t group = i / kAdversarialGroup, j = i % kAdversarialGroup;
  *out++ = 'd';
  out = put_hex(group, 4, out);
  if (j < kDashSiblings) return put(".jpg", put_4_digits(j, put("-", out)));
  if (j < kDashSiblings + kDotSiblings) return put(".txt", put_4_digits(j, put(".", out)));
  return put(kOddEnds[j % kOddEnds.size()], put_4_digits(j, put("/", out)));
}

}  // namespace

std::optional<Shape> parse_shape(std::string_view name) {
  if (name == "flat") return Shape::flat;
  if (name == "hierarchical") return Shape::hierarchical;
  if (name == "skewed") return Shape::skewed;
  if (name == "giant") return Shape::giant;
  if (name == "adversarial") return Shape::adversarial;
  return std::nullopt;
}

KeySpace::KeySpace(Shape shape, std::uint64_t count) : shape_(shape), count_(count) {
  dataset_step_ = step_for(count / kFilesPerDataset + 1);
  if (shape == Shape::flat) add_directory("", count);
  if (shape == Shape::skewed) lay_out_skewed();
  if (shape == Shape::giant) lay_out_giant();
}

void KeySpace::add_directory(std::string path, std::uint64_t size) {
  size = std::min(size, count_ - laid_out_);
  directories_.push_back({std::move(path), laid_out_, step_for(size)});
  laid_out_ += size;
}

void KeySpace::lay_out_skewed() {
  const auto size_of_rank = [&](std::size_t rank) {
    const auto r = static_cast<double>(rank);
    return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(0.6 * static_cast<double>(count_) / (r * r)));
  };
  // Ranks are scattered over the names; what rounding leaves goes to the last one.
  for (std::size_t d = 0; d + 1 < kSkewedDirectories; ++d) {
    const std::size_t rank = d * 611 % kSkewedDirectories + 1;  // 611 is prime to 1000; d = 0 would be the largest
    add_directory(format("recordings/{:04}/", d), size_of_rank(rank == 1 ? kSkewedDirectories : rank == kSkewedDirectories ? 1 : rank));
  }
  add_directory(format("recordings/{:04}/", kSkewedDirectories - 1), count_);
}

void KeySpace::lay_out_giant() {
  const std::uint64_t small = std::min<std::uint64_t>(1000, count_ / 20);
  add_directory("archive/", small);
  add_directory("audio/", small);
  add_directory("measurements/", count_ - std::min(count_, 4 * small));
  add_directory("reports/", small);
  add_directory("thumbnails/", count_);
}

char* KeySpace::write_in_directory(std::uint64_t i, char* out) const {
  const auto next = std::upper_bound(directories_.begin(), directories_.end(), i,
                                     [](std::uint64_t number, const Directory& directory) { return number < directory.first; });
  const Directory& directory = *(next - 1);
  return put(".npy", put_uuid(scattered(i - directory.first, directory.step), put(directory.path, out)));
}

char* KeySpace::write_hierarchical(std::uint64_t i, char* out) const {
  const std::uint64_t file = i % kFilesPerDataset;
  out = put_uuid(scattered(i / kFilesPerDataset, dataset_step_), put("synthetic/", out));
  out = put("/rx_", put_4_digits(file / kFilesPerSample, put("/sample-", out)));
  *out++ = static_cast<char>('0' + file % kFilesPerSample);
  return put(".npy", out);
}

char* KeySpace::write_key(std::uint64_t i, char* out) const {
  switch (shape_) {
    case Shape::hierarchical: return write_hierarchical(i, out);
    case Shape::adversarial: return write_adversarial(i, out);
    case Shape::flat:
    case Shape::skewed:
    case Shape::giant: break;
  }
  return write_in_directory(i, out);
}

std::string KeySpace::key(std::uint64_t i) const {
  std::array<char, kMaxKeyBytes> bytes;
  return {bytes.data(), write_key(i, bytes.data())};
}

namespace {

// The first number in [first, last) whose key is not `before`.
template <class Before>
std::uint64_t partition(const KeySpace& keys, std::uint64_t first, std::uint64_t last, Before before) {
  std::array<char, KeySpace::kMaxKeyBytes> bytes;
  while (first < last) {
    const std::uint64_t middle = first + (last - first) / 2;
    const std::string_view key(bytes.data(), static_cast<std::size_t>(keys.write_key(middle, bytes.data()) - bytes.data()));
    if (before(key)) first = middle + 1;
    else last = middle;
  }
  return first;
}

}  // namespace

// Computing some thirty keys is cheaper than one look at a disk would be, and right for every shape.
std::uint64_t KeySpace::lower_bound(std::string_view bound, std::uint64_t from) const {
  return partition(*this, from, count_, [&](std::string_view key) { return key < bound; });
}

std::uint64_t KeySpace::upper_bound(std::string_view bound) const {
  return partition(*this, 0, count_, [&](std::string_view key) { return key <= bound; });
}

std::uint64_t KeySpace::end_of_prefix(std::string_view prefix, std::uint64_t from) const {
  return partition(*this, from, count_, [&](std::string_view key) { return key.substr(0, prefix.size()) <= prefix; });
}

std::optional<std::uint64_t> KeySpace::find(std::string_view wanted) const {
  const std::uint64_t i = lower_bound(wanted);
  if (i == count_ || key(i) != wanted) return std::nullopt;
  return i;
}

char* write_etag(std::uint64_t i, char* out) {
  const std::uint64_t digest = mix(i);
  return put_hex(~digest, 8, put_hex(digest, 8, out));
}

}  // namespace heimdall::loopback
