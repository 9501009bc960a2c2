#include "pipeline/reference_snapshot.h"

#include <algorithm>
#include <bit>

#include "base/format.h"
#include "io/codec.h"
#include "io/file.h"
#include "io/sha256.h"
#include "pipeline/snapshot_format.h"

namespace heimdall {

namespace {

constexpr std::size_t kEntriesPerStart = 32;  // 0.25 bytes of index per reference
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

Result<void> verify_seal(const std::filesystem::path& path, const MappedFile& file) {
  const auto damaged = [&](std::string_view how) {
    return Error{ErrorCode::corrupt, format("the snapshot '{}' is damaged: {}", path.string(), how)};
  };
  if (file.size() < kSnapshotHeaderSize + kSnapshotTrailerSize || file.size() % 8 != 0) return damaged("it was cut");
  const auto words = file.u64s(0, file.size() / 8);
  const std::string_view all(reinterpret_cast<const char*>(words.data()), file.size());
  if (!all.starts_with(kSnapshotMagic) || words[1] != kSnapshotVersion) return damaged("it is none of this version");
  if (!all.ends_with(kSnapshotSeal)) return damaged("it was never sealed");
  Sha256 hash;
  hash.update(all.substr(0, all.size() - 40));
  const Sha256Digest digest = hash.finish();
  const std::string_view expected(reinterpret_cast<const char*>(digest.data()), digest.size());
  if (all.substr(all.size() - 40, 32) != expected) return damaged("its checksum does not match");
  return {};
}

}  // namespace

Result<ReferenceSnapshot> ReferenceSnapshot::open(const std::filesystem::path& path) {
  ReferenceSnapshot snapshot;
  TRY_ASSIGN(snapshot.file_, MappedFile::open(path));
  const MappedFile& file = snapshot.file_;
  TRY(verify_seal(path, file));
  snapshot.fingerprinter_ = Fingerprinter(file.u64s(16, 1)[0]);

  const std::uint64_t length = file.u64s(file.size() - kSnapshotTrailerSize, 1)[0];
  const std::size_t padded = (length + 7) / 8 * 8;
  if (padded > file.size() - kSnapshotHeaderSize - kSnapshotTrailerSize) {
    return Error{ErrorCode::corrupt, format("the snapshot '{}' is damaged", path.string())};
  }
  const auto words = file.u64s(file.size() - kSnapshotTrailerSize - padded, padded / 8);
  TRY_ASSIGN(SnapshotMetadata metadata,
             decode_snapshot_metadata({reinterpret_cast<const char*>(words.data()), length}));
  snapshot.sources_ = std::move(metadata.sources);
  snapshot.key_sample_ = std::move(metadata.key_sample);
  snapshot.near_pairs_ = file.u64s(kSnapshotHeaderSize, metadata.near_pairs * 2);
  for (const SectionEntry& entry : metadata.sections) {
    Section section{entry.kind, entry.source, file.u64s(entry.offset, entry.count), {}, 63, nullptr};
    index_section(section);
    snapshot.sections_.push_back(std::move(section));
  }
  return snapshot;
}

namespace {

// Where the fingerprint should be if it is there: fingerprints are spread evenly, so it lies a few entries away at most.
std::size_t guess(const ReferenceSnapshot::Section& section, std::uint64_t fingerprint) {
  const std::size_t top = fingerprint >> section.shift;
  const std::uint64_t below_top = fingerprint << (64 - section.shift) >> 32;  // as a fraction of 2^32
  return section.starts[top] + ((section.starts[top + 1] - section.starts[top]) * below_top >> 32);
}

std::optional<std::size_t> find_near(std::span<const std::uint64_t> entries, std::size_t at, std::uint64_t fingerprint) {
  while (at > 0 && entries[at - 1] >= fingerprint) --at;
  while (at < entries.size() && entries[at] < fingerprint) ++at;
  if (at == entries.size() || entries[at] != fingerprint) return std::nullopt;
  return at;
}

}  // namespace

std::optional<std::size_t> ReferenceSnapshot::Section::find(std::uint64_t fingerprint) const {
  return find_near(entries, guess(*this, fingerprint), fingerprint);
}

namespace {

void mark(ReferenceSnapshot::Section& section, std::size_t entry) {
  if (section.marks == nullptr || section.is_marked(entry)) return;  // most marks are set once: spare the locked write
  section.marks[entry / 64].fetch_or(std::uint64_t{1} << (entry % 64), std::memory_order_relaxed);
}

}  // namespace

void ReferenceSnapshot::probe_section(Section& section, std::span<const std::uint64_t> fingerprints,
                                      std::span<std::uint8_t> hits) const {
  if (section.entries.empty()) return;
  std::array<std::size_t, kBatch> guesses;
  for (std::size_t i = 0; i < fingerprints.size(); ++i) {
    __builtin_prefetch(&section.starts[fingerprints[i] >> section.shift]);
  }
  for (std::size_t i = 0; i < fingerprints.size(); ++i) {
    guesses[i] = guess(section, fingerprints[i]);
    __builtin_prefetch(section.entries.data() + guesses[i]);
  }
  for (std::size_t i = 0; i < fingerprints.size(); ++i) {
    if (const auto entry = find_near(section.entries, guesses[i], fingerprints[i])) {
      hits[i] = 1;
      mark(section, *entry);
    }
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

// Merges the sorted sections that count and calls `counts(any of them marked)` once per distinct fingerprint.
template <class Counts>
std::uint64_t ReferenceSnapshot::count_distinct(Counts counts) const {
  struct Cursor {
    const Section* section;
    std::size_t at = 0;
    std::uint64_t value() const { return section->entries[at]; }
  };
  std::vector<Cursor> cursors;
  for (const Section& section : sections_) {
    if (section.kind != Kind::protecting && !section.entries.empty()) cursors.push_back({&section});
  }
  std::uint64_t total = 0;
  while (!cursors.empty()) {
    std::uint64_t least = cursors.front().value();
    for (const Cursor& cursor : cursors) least = std::min(least, cursor.value());
    bool marked = false;
    for (Cursor& cursor : cursors) {
      if (cursor.value() != least) continue;
      marked = marked || cursor.section->is_marked(cursor.at);
      ++cursor.at;
    }
    std::erase_if(cursors, [](const Cursor& cursor) { return cursor.at == cursor.section->entries.size(); });
    total += counts(marked) ? 1 : 0;
  }
  return total;
}

std::uint64_t ReferenceSnapshot::references() const {
  return count_distinct([](bool) { return true; });
}

std::uint64_t ReferenceSnapshot::dangling() const {
  return count_distinct([](bool marked) { return !marked; });
}

std::uint64_t ReferenceSnapshot::hits_of(std::size_t source) const {
  std::uint64_t hits = 0;
  for (const Section& section : sections_) {
    if (section.source != source || section.kind == Kind::protecting) continue;
    for (std::size_t word = 0; word <= section.entries.size() / 64; ++word) {
      hits += static_cast<std::uint64_t>(std::popcount(section.marks[word].load(std::memory_order_relaxed)));
    }
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

std::vector<std::uint64_t> ReferenceSnapshot::near_forms_of_dangling() const {
  std::vector<std::uint64_t> forms;
  for (std::size_t i = 0; i + 1 < near_pairs_.size(); i += 2) {
    if (near_pairs_[i + 1] == kNotListed || is_dangling(near_pairs_[i + 1])) forms.push_back(near_pairs_[i]);
  }
  std::sort(forms.begin(), forms.end());
  return forms;
}

}  // namespace heimdall
