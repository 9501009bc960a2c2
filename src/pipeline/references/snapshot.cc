#include "pipeline/references/snapshot.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/format.h"
#include "base/text.h"
#include "base/hashing.h"
#include "io/external_sort.h"
#include "io/file.h"
#include "io/usable_memory.h"
#include "model/near_form.h"
#include "pipeline/references/snapshot_format.h"

namespace heimdall {

namespace {

// Appends to the file and keeps its checksum.
class SnapshotWriter {
 public:
  static Result<SnapshotWriter> create(const std::filesystem::path& path, std::uint64_t salt) {
    TRY_ASSIGN(UniqueFd fd, open_file(path, O_WRONLY | O_CREAT | O_TRUNC, "snapshot"));
    SnapshotWriter writer(std::move(fd));
    TRY(writer.append(kSnapshotMagic));
    TRY(writer.append_u64(kSnapshotVersion));
    TRY(writer.append_u64(salt));
    return writer;
  }

  Result<void> append(std::string_view bytes) {
    offset_ += bytes.size();
    if (bytes.size() < kBufferSize) {
      buffer_ += bytes;
      return buffer_.size() < kBufferSize ? Result<void>() : flush();
    }
    TRY(flush());
    checksum_.update(bytes);
    return write_all(fd_.get(), bytes, "snapshot");
  }
  Result<void> append_u64(std::uint64_t value) {
    return append({reinterpret_cast<const char*>(&value), sizeof(value)});
  }
  template <class Record>
  Result<void> append_all(std::span<const Record> records) {
    return append({reinterpret_cast<const char*>(records.data()), records.size_bytes()});
  }
  // Fills up with zeros to where a section may begin, a cache line, and returns that.
  Result<std::uint64_t> begin_section() {
    TRY(append(std::string((kSnapshotAlignment - offset_ % kSnapshotAlignment) % kSnapshotAlignment, '\0')));
    return offset_;
  }

  Result<void> seal(const SnapshotMetadata& metadata) {
    std::string bytes = encode(metadata);
    const std::uint64_t length = bytes.size();
    bytes.resize((length + 7) / 8 * 8, '\0');
    TRY(append(bytes));
    TRY(append_u64(length));
    TRY(flush());
    const ChecksumDigest digest = checksum_.digest();
    TRY(write_all(fd_.get(), {reinterpret_cast<const char*>(digest.data()), digest.size()}, "snapshot"));
    return write_all(fd_.get(), kSnapshotSeal, "snapshot");
  }

 private:
  explicit SnapshotWriter(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<void> flush() {
    checksum_.update(buffer_);
    TRY(write_all(fd_.get(), buffer_, "snapshot"));
    buffer_.clear();
    return {};
  }

  static constexpr std::size_t kBufferSize = 1 << 20;
  UniqueFd fd_;
  std::string buffer_;
  Checksum checksum_;
  std::uint64_t offset_ = 0;
};

// From kSize to 2 * kSize - 1 keys, evenly spaced over the stream, whatever its length: when full, every second one goes.
class KeySample {
 public:
  void offer(std::string_view key) {
    if (--until_next_ > 0) return;
    until_next_ = stride_;
    take(key);
  }
  std::vector<std::string> sorted() {
    std::sort(keys_.begin(), keys_.end());
    keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
    return std::move(keys_);
  }

 private:
  static constexpr std::size_t kSize = 16 * 1024;
  // A longer key is as good a place to cut without its end, which must not tear a character apart: some stores take text only.
  static constexpr std::size_t kLongest = 512;

  void take(std::string_view key) {
    std::size_t size = std::min(key.size(), kLongest);
    while (size > 0 && size < key.size() && (static_cast<unsigned char>(key[size]) & 0xC0U) == 0x80U) --size;
    if (size == 0) return;
    keys_.emplace_back(key.substr(0, size));
    if (keys_.size() < 2 * kSize) return;
    for (std::size_t i = 1; i < kSize; ++i) keys_[i] = std::move(keys_[2 * i]);  // moving the first onto itself would empty it
    keys_.resize(kSize);
    stride_ *= 2;
    until_next_ = stride_;
  }

  std::vector<std::string> keys_;
  std::uint64_t stride_ = 1;
  std::uint64_t until_next_ = 1;
};

bool is_inside(std::span<const std::string> prefixes, std::string_view key) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& p) { return key.starts_with(p); });
}

// A protected folder matters if it lies inside a prefix or holds one.
bool folder_touches(std::span<const std::string> prefixes, std::string_view folder) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& p) { return folder.starts_with(p) || p.starts_with(folder); });
}

constexpr std::size_t kNearPairsMemory = std::size_t{16} << 20;

// What all sources of a snapshot have in common.
struct Gathering {
  std::span<const std::string> prefixes;
  const std::filesystem::path& path;
  const SnapshotOptions& options;
  Fingerprinter fingerprinter;
  Progress& progress;
  KeySample sample{};
  ExternalSorter<U64Pair> near_pairs{path.string() + ".near", options.sort_threads};
};

// Maps the rows of one source and gathers their fingerprints.
class SourceReader final : public RowSink {
 public:
  SourceReader(const SourcePolicy& policy, Gathering& gathering)
      : counted(gathering.path.string() + ".counted", gathering.options.sort_threads),
        protecting(gathering.path.string() + ".protecting", gathering.options.sort_threads), policy_(policy),
        prefixes_(gathering.prefixes), fingerprinter_(gathering.fingerprinter), gathering_(gathering) {
    facts.name = policy.name;
    for (const std::string& prefix : prefixes_) near_form(prefix, near_prefixes_.emplace_back());
  }

  Result<void> add(std::span<const ReferenceRow> rows) override {
    for (const ReferenceRow& row : rows) add_row(row);
    gathering_.progress.advance(rows.size());
    return keep_to_budget();
  }

  SourceFacts facts;
  ExternalSorter<std::uint64_t> counted;  // keys or folders
  ExternalSorter<std::uint64_t> protecting;

 private:
  Result<void> keep_to_budget() {
    if (counted.memory_bytes() + protecting.memory_bytes() > gathering_.options.memory_budget_bytes) {
      TRY(counted.memory_bytes() > protecting.memory_bytes() ? counted.spill() : protecting.spill());
    }
    return gathering_.near_pairs.memory_bytes() < kNearPairsMemory ? Result<void>() : gathering_.near_pairs.spill();
  }

  void add_row(const ReferenceRow& row) {
    map_reference(policy_.mapping, row, mapped_);
    ++facts.rows;
    const auto shape = static_cast<std::size_t>(mapped_.shape);
    ++facts.by_shape.at(shape);
    if (facts.shape_examples.at(shape).empty()) facts.shape_examples.at(shape) = row.value.substr(0, 200);
    // Whatever the kind, a key the value may plausibly mean is kept.
    for (const std::string& key : mapped_.protecting) {
      if (is_inside(prefixes_, key)) protecting.push(fingerprinter_(key));
    }
    switch (mapped_.kind) {
      case Mapped::Kind::blank: ++facts.blank; return;
      case Mapped::Kind::other_bucket: ++facts.other_bucket; return;
      case Mapped::Kind::ignored: ++facts.ignored; return;
      case Mapped::Kind::unmapped:
        ++facts.unmapped;
        if (facts.unmapped_examples.size() < 3) {
          facts.unmapped_examples.push_back(
              format("'{}' ({})", elide_middle(printable(row.value.substr(0, 200)), 80), mapped_.why));
        }
        return;
      case Mapped::Kind::this_bucket: add_key(row);
    }
  }

  void add_key(const ReferenceRow& row) {
    const std::string& key = mapped_.primary;
    const bool is_folder = policy_.mapping.as == KeyForm::prefix;
    if (!(is_folder ? folder_touches(prefixes_, key) : is_inside(prefixes_, key))) {
      ++facts.outside_prefixes;
      keep_control(row, Place::outside);
      if (!is_folder) add_near_pair(kNotListed);
      return;
    }
    keep_control(row, Place::inside);
    const std::uint64_t fingerprint = fingerprinter_(key);
    counted.push(fingerprint);
    if (is_folder) return;
    gathering_.sample.offer(key);
    add_near_pair(fingerprint);
  }

  // Where the key is not in its near form, an orphan may be what the row means, also if a prefix alone tells them apart.
  void add_near_pair(std::uint64_t fingerprint) {
    if (fingerprint != kNotListed && is_near_form(mapped_.primary)) return;
    near_form(mapped_.primary, near_);
    const bool may_be_meant = fingerprint == kNotListed ? is_inside(near_prefixes_, near_) : near_ != mapped_.primary;
    if (may_be_meant) gathering_.near_pairs.push({fingerprinter_(near_), fingerprint});
  }

  enum class Place { outside, inside };

  // Evenly spaced rows, as KeySample does it: a table that is cut at its front or its end still has some of them. Rows outside the
  // prefixes serve only while there is none inside: the snapshot of a wave does not hold their keys.
  void keep_control(const ReferenceRow& row, Place place) {
    if (place == Place::inside && controls_at_ == Place::outside) {
      facts.controls.clear();
      until_control_ = 1;
      control_stride_ = 1;
      controls_at_ = Place::inside;
    }
    if (place != controls_at_) return;
    if (--until_control_ > 0) return;
    if (facts.controls.size() == kMaxControls) {
      for (std::size_t i = 1; i < kMaxControls / 2; ++i) facts.controls[i] = std::move(facts.controls[2 * i]);
      facts.controls.resize(kMaxControls / 2);
      control_stride_ *= 2;
    }
    until_control_ = control_stride_;
    ReferenceControl control{std::string(row.value), std::nullopt};
    if (row.bucket) control.bucket = std::string(*row.bucket);
    facts.controls.push_back(std::move(control));
  }

  const SourcePolicy& policy_;
  const std::span<const std::string> prefixes_;
  const Fingerprinter fingerprinter_;
  Gathering& gathering_;
  Mapped mapped_;
  std::string near_;
  std::vector<std::string> near_prefixes_;
  Place controls_at_ = Place::outside;
  std::uint64_t until_control_ = 1;
  std::uint64_t control_stride_ = 1;
};

// Sorts what was gathered into the file. The memory goes back to the system as it is written.
template <class Record>
Result<std::uint64_t> write_sorted(SnapshotWriter& writer, ExternalSorter<Record>& sorter, const std::stop_token& stop) {
  return sorter.drain([&](std::span<const Record> records) -> Result<void> {
    if (stop.stop_requested()) return Error{ErrorCode::cancelled, "the snapshot was interrupted"};
    return writer.append_all(records);
  });
}

Result<void> read_source(const SourceBinding& binding, SourceReader& reader, std::stop_token stop) {
  TRY_ASSIGN(ReadSummary summary, read_whole(binding, reader, std::move(stop)));
  reader.facts.identity = std::move(summary.identity);
  reader.facts.writers = std::move(summary.writers);
  reader.facts.as_of = summary.as_of;
  reader.facts.partial = std::move(summary.partial);
  return {};
}

// Reads one source and appends its two sections.
Result<void> add_source(const SourceBinding& binding, Gathering& gathering, SnapshotWriter& writer, SnapshotMetadata& metadata,
                        const std::stop_token& stop) {
  using Kind = ReferenceSnapshot::Kind;
  SourceReader reader(*binding.policy, gathering);
  TRY(read_source(binding, reader, stop));
  const std::uint64_t source = metadata.sources.size();
  SectionEntry counted{binding.policy->mapping.as == KeyForm::prefix ? Kind::prefix : Kind::primary, source, 0, 0};
  TRY_ASSIGN(counted.offset, writer.begin_section());
  TRY_ASSIGN(counted.count, write_sorted(writer, reader.counted, stop));
  SectionEntry protecting{Kind::protecting, source, 0, 0};
  TRY_ASSIGN(protecting.offset, writer.begin_section());
  TRY_ASSIGN(protecting.count, write_sorted(writer, reader.protecting, stop));
  reader.facts.distinct_keys = counted.count;
  metadata.sections.push_back(counted);
  metadata.sections.push_back(protecting);
  metadata.sources.push_back(std::move(reader.facts));
  return {};
}

}  // namespace

std::uint64_t SnapshotOptions::default_memory_budget() {
  return usable_memory_bytes() / 2;
}

Result<ReferenceSnapshot> take_snapshot(std::span<const SourceBinding> sources, std::span<const std::string> prefixes,
                                        const std::filesystem::path& path, std::uint64_t salt, Progress& progress,
                                        std::stop_token stop, const SnapshotOptions& options) {
  struct Unlink {
    const std::filesystem::path& path;
    ~Unlink() { unlink(path.c_str()); }
  } unlink_at_end{path};
  TRY_ASSIGN(SnapshotWriter writer, SnapshotWriter::create(path, salt));
  Gathering gathering{prefixes, path, options, Fingerprinter(salt), progress};
  SnapshotMetadata metadata;
  for (const SourceBinding& binding : sources) TRY(add_source(binding, gathering, writer, metadata, stop));
  TRY_ASSIGN(metadata.near_pairs_offset, writer.begin_section());
  TRY_ASSIGN(metadata.near_pairs_count, write_sorted(writer, gathering.near_pairs, stop));
  metadata.key_sample = gathering.sample.sorted();
  TRY(writer.seal(metadata));
  return ReferenceSnapshot::open(path);
}

}  // namespace heimdall
