#include "pipeline/references/reference_snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/format.h"
#include "base/hashing.h"
#include "io/file.h"
#include "pipeline/references/snapshot_format.h"

namespace heimdall {

namespace {

constexpr std::size_t kEntriesPerStart = 32;  // 0.25 bytes of index per reference; a denser one leaves the caches earlier
constexpr std::size_t kBatch = 64;            // probes in flight: enough to hide the memory's latency

void index_section(ReferenceSnapshot::Section& section) {
  const std::size_t n = section.entries.size();
  const unsigned bits = std::max(1U, static_cast<unsigned>(std::bit_width(n / kEntriesPerStart)));
  section.shift = 64 - bits;
  section.starts.assign((std::size_t{1} << bits) + 1, n);
  std::size_t next = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t top = section.entries[i] >> section.shift;
    while (next <= top) section.starts[next++] = i;
  }
  if (section.kind != ReferenceSnapshot::Kind::protecting) {
    section.marks = std::make_unique<std::atomic<std::uint64_t>[]>(n / 64 + 1);
  }
}

// A snapshot's file before it is trusted.
class SealedFile {
 public:
  static Result<SealedFile> open(const std::filesystem::path& path) {
    SealedFile file(path);
    TRY_ASSIGN(file.fd_, open_file(path, O_RDONLY, "snapshot"));
    struct stat info {};
    if (fstat(file.fd_.get(), &info) != 0) return system_error(errno, format("cannot look at the snapshot '{}'", path.string()));
    file.size_ = static_cast<std::uint64_t>(info.st_size);
    return file;
  }

  // Reads all of it, past no mapping: what is verified must not stay in memory for that.
  Result<void> verify() const {
    if (size_ < kSnapshotHeaderSize + kSnapshotTrailerSize || size_ % 8 != 0) return damaged("it was cut");
    TRY_ASSIGN(const std::string header, read(0, kSnapshotHeaderSize));
    if (!header.starts_with(kSnapshotMagic) || u64_at(header, 8) != kSnapshotVersion) return damaged("it is none of this version");
    TRY_ASSIGN(const std::string trailer, read(size_ - kSnapshotTrailerSize, kSnapshotTrailerSize));
    if (!trailer.ends_with(kSnapshotSeal)) return damaged("it was never sealed");
    Checksum checksum;
    const std::uint64_t end = size_ - kSnapshotSeal.size() - kSnapshotDigestSize;
    std::string buffer(std::min<std::uint64_t>(end, kVerifyBytes), '\0');
    for (std::uint64_t at = 0; at < end;) {
      const std::size_t size = std::min<std::uint64_t>(buffer.size(), end - at);
      TRY(read_into(at, buffer.data(), size));
      checksum.update({buffer.data(), size});
      at += size;
    }
    const ChecksumDigest digest = checksum.digest();
    const std::string_view expected(reinterpret_cast<const char*>(digest.data()), digest.size());
    if (std::string_view(trailer).substr(8, kSnapshotDigestSize) != expected) return damaged("its checksum does not match");
    return {};
  }

  Result<std::uint64_t> salt() const {
    TRY_ASSIGN(const std::string bytes, read(16, 8));
    return u64_at(bytes, 0);
  }

  Result<SnapshotMetadata> metadata() const {
    TRY_ASSIGN(const std::string trailer, read(size_ - kSnapshotTrailerSize, 8));
    const std::uint64_t length = u64_at(trailer, 0);
    const std::uint64_t room = size_ - kSnapshotHeaderSize - kSnapshotTrailerSize;
    if (length > room || (length + 7) / 8 * 8 > room) return damaged("its metadata are longer than itself");
    TRY_ASSIGN(const std::string bytes, read(size_ - kSnapshotTrailerSize - (length + 7) / 8 * 8, length));
    return decode_snapshot_metadata(bytes);
  }

  Result<MappedFile> map() const { return MappedFile::map(fd_.get(), size_); }
  UniqueFd take() { return std::move(fd_); }

 private:
  static constexpr std::uint64_t kVerifyBytes = 1 << 20;

  explicit SealedFile(const std::filesystem::path& path) : path_(path) {}
  Error damaged(std::string_view how) const {
    return Error{ErrorCode::corrupt, format("the snapshot '{}' is damaged: {}", path_.string(), how)};
  }
  static std::uint64_t u64_at(std::string_view bytes, std::size_t at) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    return value;
  }
  Result<void> read_into(std::uint64_t at, char* to, std::size_t size) const {
    TRY_ASSIGN(const std::size_t count, read_at(fd_.get(), to, size, at, "snapshot"));
    if (count != size) return damaged("it was cut while it was read");
    return {};
  }
  Result<std::string> read(std::uint64_t at, std::size_t size) const {
    std::string bytes(size, '\0');
    TRY(read_into(at, bytes.data(), size));
    return bytes;
  }

  std::filesystem::path path_;
  UniqueFd fd_;
  std::uint64_t size_ = 0;
};

}  // namespace

Result<ReferenceSnapshot> ReferenceSnapshot::open(const std::filesystem::path& path) {
  ReferenceSnapshot snapshot;
  TRY_ASSIGN(SealedFile file, SealedFile::open(path));
  TRY(file.verify());
  TRY_ASSIGN(const std::uint64_t salt, file.salt());
  TRY_ASSIGN(SnapshotMetadata metadata, file.metadata());
  TRY_ASSIGN(snapshot.file_, file.map());
  snapshot.fingerprinter_ = Fingerprinter(salt);
  snapshot.sources_ = std::move(metadata.sources);
  snapshot.key_sample_ = std::move(metadata.key_sample);
  for (const SectionEntry& entry : metadata.sections) {
    Section section{entry.kind, entry.source, snapshot.file_.u64s(entry.offset, entry.count), {}, 63, nullptr};
    index_section(section);
    snapshot.sections_.push_back(std::move(section));
  }
  snapshot.references_ = snapshot.count_references();
  TRY_ASSIGN(snapshot.near_pairs_, NearPairs::open(file.take(), metadata.near_pairs_offset, metadata.near_pairs_count));
  return snapshot;
}

namespace {

// Where the fingerprint should be if it is there: fingerprints are spread evenly, so it lies a few entries away at most.
std::size_t guess(const ReferenceSnapshot::Section& section, std::uint64_t fingerprint) {
  const std::size_t top = fingerprint >> section.shift;
  const std::uint64_t below_top = fingerprint << (64 - section.shift) >> 32;  // as a fraction of 2^32
  return section.starts[top] + ((section.starts[top + 1] - section.starts[top]) * below_top >> 32);
}

constexpr std::size_t kLine = 8;  // entries in a cache line, where sections are aligned
constexpr std::size_t kNowhere = ~std::size_t{0};

std::size_t find_near(std::span<const std::uint64_t> entries, std::size_t at, std::uint64_t fingerprint) {
  const std::size_t line = at / kLine * kLine;
  if (line + kLine <= entries.size()) {
    // Mostly it is in this line, or would be. Counting all of it is faster than a jump that nobody can predict.
    std::size_t below = 0;
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kLine; ++i) below += entries[line + i] < fingerprint ? 1 : 0;
    if (below > 0 && below < kLine) return entries[line + below] == fingerprint ? line + below : kNowhere;
    at = line + below;
  }
  while (at > 0 && entries[at - 1] >= fingerprint) --at;
  while (at < entries.size() && entries[at] < fingerprint) ++at;
  return at < entries.size() && entries[at] == fingerprint ? at : kNowhere;
}

}  // namespace

std::optional<std::size_t> ReferenceSnapshot::Section::find(std::uint64_t fingerprint) const {
  const std::size_t at = find_near(entries, guess(*this, fingerprint), fingerprint);
  return at == kNowhere ? std::nullopt : std::optional(at);
}

namespace {

void mark(ReferenceSnapshot::Section& section, std::size_t entry) {
  if (section.marks == nullptr || section.is_marked(entry)) return;  // most marks are set once: spare the locked write
  section.marks[entry / 64].fetch_or(std::uint64_t{1} << (entry % 64), std::memory_order_relaxed);
}

}  // namespace

// Each step asks for the memory of the next one for the whole batch, so that its latencies pass together; probe() asked for the starts.
void ReferenceSnapshot::probe_section(Section& section, std::span<const std::uint64_t> fingerprints,
                                      std::span<std::uint8_t> hits) const {
  if (section.entries.empty()) return;
  constexpr std::size_t kMostlyWithin = 2;  // of the guess
  std::array<std::size_t, kBatch> places;
  const std::size_t count = fingerprints.size();
  for (std::size_t i = 0; i < count; ++i) {
    places[i] = guess(section, fingerprints[i]);
    __builtin_prefetch(section.entries.data() + places[i] - std::min(places[i], kMostlyWithin));
    __builtin_prefetch(section.entries.data() + places[i] + kMostlyWithin);
  }
  for (std::size_t i = 0; i < count; ++i) {
    places[i] = find_near(section.entries, places[i], fingerprints[i]);
    if (places[i] != kNowhere && section.marks != nullptr) __builtin_prefetch(&section.marks[places[i] / 64]);
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (places[i] == kNowhere) continue;
    hits[i] = 1;
    mark(section, places[i]);
  }
}

// A folder "a/b/" protects every key below it: each leading folder of the key is asked for.
void ReferenceSnapshot::probe_prefixes(Section& section, std::string_view key, std::uint8_t& hit) const {
  for (std::size_t slash = key.find('/'); slash != std::string_view::npos; slash = key.find('/', slash + 1)) {
    if (const auto entry = section.find(fingerprinter_(key.substr(0, slash + 1)))) {
      hit = 1;
      mark(section, *entry);
    }
  }
}

void ReferenceSnapshot::probe(std::span<const std::string_view> keys, std::span<std::uint8_t> hits) {
  std::array<std::uint64_t, kBatch> fingerprints;
  while (!keys.empty()) {
    const std::size_t count = std::min(keys.size(), kBatch);
    for (std::size_t i = 0; i < count; ++i) {
      fingerprints[i] = fingerprinter_(keys[i]);
      hits[i] = 0;
      for (const Section& section : sections_) __builtin_prefetch(&section.starts[fingerprints[i] >> section.shift]);
    }
    for (Section& section : sections_) {
      if (section.kind == Kind::prefix) {
        for (std::size_t i = 0; i < count; ++i) probe_prefixes(section, keys[i], hits[i]);
      } else {
        probe_section(section, {fingerprints.data(), count}, hits.first(count));
      }
    }
    keys = keys.subspan(count);
    hits = hits.subspan(count);
  }
}

bool ReferenceSnapshot::source_contains(std::size_t source, std::string_view key) const {
  for (const Section& section : sections_) {
    if (section.source != source) continue;
    if (section.kind != Kind::prefix) {
      if (section.find(fingerprinter_(key))) return true;
      continue;
    }
    for (std::size_t slash = key.find('/'); slash != std::string_view::npos; slash = key.find('/', slash + 1)) {
      if (section.find(fingerprinter_(key.substr(0, slash + 1)))) return true;
    }
  }
  return false;
}

bool ReferenceSnapshot::contains(std::string_view key) const {
  for (std::size_t source = 0; source < sources_.size(); ++source) {
    if (source_contains(source, key)) return true;
  }
  return false;
}

std::vector<const ReferenceSnapshot::Section*> ReferenceSnapshot::counted_sections() const {
  std::vector<const Section*> counted;
  for (const Section& section : sections_) {
    if (section.kind != Kind::protecting && !section.entries.empty()) counted.push_back(&section);
  }
  std::stable_sort(counted.begin(), counted.end(),
                   [](const Section* a, const Section* b) { return a->entries.size() > b->entries.size(); });
  return counted;
}

namespace {

enum class Marked { no, yes };

std::uint64_t count_marks(const ReferenceSnapshot::Section& section) {
  std::uint64_t count = 0;
  for (std::size_t word = 0; word <= section.entries.size() / 64; ++word) {
    count += static_cast<std::uint64_t>(std::popcount(section.marks[word].load(std::memory_order_relaxed)));
  }
  return count;
}

// Merges the sorted sections: visit(fingerprint, whether any of its entries is marked) once for each distinct fingerprint.
template <class Visit>
void for_each_distinct(std::span<const ReferenceSnapshot::Section* const> sections, Visit visit) {
  struct Cursor {
    const ReferenceSnapshot::Section* section;
    std::size_t at = 0;
    std::uint64_t value() const { return section->entries[at]; }
  };
  std::vector<Cursor> cursors;
  for (const auto* section : sections) cursors.push_back({section});
  while (!cursors.empty()) {
    std::uint64_t least = cursors.front().value();
    for (const Cursor& cursor : cursors) least = std::min(least, cursor.value());
    Marked marked = Marked::no;
    for (Cursor& cursor : cursors) {
      if (cursor.value() != least) continue;
      if (cursor.section->is_marked(cursor.at)) marked = Marked::yes;
      ++cursor.at;
    }
    std::erase_if(cursors, [](const Cursor& cursor) { return cursor.at == cursor.section->entries.size(); });
    visit(least, marked);
  }
}

}  // namespace

// The largest section has no key twice: only those of the others can be known already.
std::uint64_t ReferenceSnapshot::count_references() const {
  const auto counted = counted_sections();
  if (counted.empty()) return 0;
  const Section& largest = *counted.front();
  std::uint64_t count = largest.entries.size();
  for_each_distinct(std::span(counted).subspan(1), [&](std::uint64_t fingerprint, Marked) {
    if (!largest.find(fingerprint)) ++count;
  });
  return count;
}

std::uint64_t ReferenceSnapshot::dangling() const {
  const auto counted = counted_sections();
  if (counted.empty()) return 0;
  const Section& largest = *counted.front();
  std::uint64_t count = largest.entries.size() - count_marks(largest);
  for_each_distinct(std::span(counted).subspan(1), [&](std::uint64_t fingerprint, Marked marked) {
    const auto entry = largest.find(fingerprint);
    if (!entry && marked == Marked::no) ++count;
    if (entry && marked == Marked::yes && !largest.is_marked(*entry)) --count;  // hit as another source's folder or key
  });
  return count;
}

std::uint64_t ReferenceSnapshot::hits_of(std::size_t source) const {
  std::uint64_t hits = 0;
  for (const Section& section : sections_) {
    if (section.source == source && section.kind != Kind::protecting) hits += count_marks(section);
  }
  return hits;
}

bool ReferenceSnapshot::is_dangling(std::uint64_t fingerprint) const {
  bool found = false;
  for (const Section& section : sections_) {
    if (section.kind != Kind::primary) continue;
    if (const auto entry = section.find(fingerprint)) {
      if (section.is_marked(*entry)) return false;
      found = true;
    }
  }
  return found;
}

Result<bool> ReferenceSnapshot::is_near_form_of_dangling(std::uint64_t fingerprint) const {
  return near_pairs_.any_reference(fingerprint, [&](std::uint64_t reference) { return reference == kNotListed || is_dangling(reference); });
}

}  // namespace heimdall
