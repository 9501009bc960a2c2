#include "pipeline/snapshot.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/format.h"
#include "base/text.h"
#include "io/file.h"
#include "io/sha256.h"
#include "model/near_form.h"
#include "pipeline/snapshot_format.h"

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
    buffer_ += bytes;
    offset_ += bytes.size();
    return buffer_.size() < kBufferSize ? Result<void>() : flush();
  }
  Result<void> append_u64(std::uint64_t value) {
    return append({reinterpret_cast<const char*>(&value), sizeof(value)});
  }
  Result<void> append_array(std::span<const std::uint64_t> values) {
    constexpr std::size_t kChunk = kBufferSize / 8;
    for (; !values.empty(); values = values.subspan(std::min(kChunk, values.size()))) {
      const auto chunk = values.first(std::min(kChunk, values.size()));
      TRY(append({reinterpret_cast<const char*>(chunk.data()), chunk.size_bytes()}));
    }
    return {};
  }
  std::uint64_t offset() const { return offset_; }

  Result<void> seal(const SnapshotMetadata& metadata) {
    std::string bytes = encode(metadata);
    const std::uint64_t length = bytes.size();
    bytes.resize((length + 7) / 8 * 8, '\0');
    TRY(append(bytes));
    TRY(append_u64(length));
    TRY(flush());
    const Sha256Digest digest = hash_.finish();
    TRY(write_all(fd_.get(), {reinterpret_cast<const char*>(digest.data()), digest.size()}, "snapshot"));
    return write_all(fd_.get(), kSnapshotSeal, "snapshot");
  }

 private:
  explicit SnapshotWriter(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<void> flush() {
    hash_.update(buffer_);
    TRY(write_all(fd_.get(), buffer_, "snapshot"));
    buffer_.clear();
    return {};
  }

  static constexpr std::size_t kBufferSize = 1 << 20;
  UniqueFd fd_;
  std::string buffer_;
  Sha256 hash_;
  std::uint64_t offset_ = 0;
};

// About kSize keys, evenly spaced over the stream, whatever its length: when full, every second one goes.
class KeySample {
 public:
  void offer(std::string_view key) {
    if (seen_++ % stride_ != 0) return;
    keys_.emplace_back(key);
    if (keys_.size() < 2 * kSize) return;
    for (std::size_t i = 1; i < kSize; ++i) keys_[i] = std::move(keys_[2 * i]);  // moving the first onto itself would empty it
    keys_.resize(kSize);
    stride_ *= 2;
  }
  std::vector<std::string> take() {
    std::sort(keys_.begin(), keys_.end());
    return std::move(keys_);
  }

 private:
  static constexpr std::size_t kSize = 512;
  std::vector<std::string> keys_;
  std::uint64_t seen_ = 0;
  std::uint64_t stride_ = 1;
};

bool is_inside(std::span<const std::string> prefixes, std::string_view key) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& p) { return key.starts_with(p); });
}

// A protected folder matters if it lies inside a prefix or holds one.
bool folder_touches(std::span<const std::string> prefixes, std::string_view folder) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& p) { return folder.starts_with(p) || p.starts_with(folder); });
}

// Maps the rows of one source and gathers their fingerprints.
class SourceReader final : public RowSink {
 public:
  SourceReader(const SourcePolicy& policy, std::span<const std::string> prefixes, const Fingerprinter& fingerprinter,
               SnapshotWriter& near_pairs, KeySample& sample, Progress& progress)
      : policy_(policy), prefixes_(prefixes), fingerprinter_(fingerprinter), near_pairs_(near_pairs), sample_(sample),
        progress_(progress) {
    facts.name = policy.name;
    for (const std::string& prefix : prefixes) near_form(prefix, near_prefixes_.emplace_back());
  }

  Result<void> add(std::span<const ReferenceRow> rows) override {
    for (const ReferenceRow& row : rows) TRY(add_row(row));
    progress_.advance(rows.size());
    return {};
  }

  SourceFacts facts;
  GrowingU64 primary;
  GrowingU64 protecting;
  GrowingU64 folders;
  std::uint64_t near_pair_count = 0;

 private:
  Result<void> add_row(const ReferenceRow& row) {
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
      case Mapped::Kind::blank: ++facts.blank; return {};
      case Mapped::Kind::other_bucket: ++facts.other_bucket; return {};
      case Mapped::Kind::ignored: ++facts.ignored; return {};
      case Mapped::Kind::unmapped:
        ++facts.unmapped;
        if (facts.unmapped_examples.size() < 3) {
          facts.unmapped_examples.push_back(
              format("'{}' ({})", elide_middle(printable(row.value.substr(0, 200)), 80), mapped_.why));
        }
        return {};
      case Mapped::Kind::this_bucket: return add_key(row);
    }
    return {};
  }

  Result<void> add_key(const ReferenceRow& row) {
    const std::string& key = mapped_.primary;
    const bool is_folder = policy_.mapping.as == KeyForm::prefix;
    if (!(is_folder ? folder_touches(prefixes_, key) : is_inside(prefixes_, key))) {
      ++facts.outside_prefixes;
      keep_control(row, Place::outside);
      return is_folder ? Result<void>() : add_near_pair(kNotListed);
    }
    keep_control(row, Place::inside);
    if (is_folder) {
      folders.push(fingerprinter_(key));
      return {};
    }
    const std::uint64_t fingerprint = fingerprinter_(key);
    primary.push(fingerprint);
    sample_.offer(key);
    return add_near_pair(fingerprint);
  }

  // Where the key is not in its near form, an orphan may be what the row means, also if a prefix alone tells them apart.
  Result<void> add_near_pair(std::uint64_t fingerprint) {
    near_form(mapped_.primary, near_);
    const bool may_be_meant = fingerprint == kNotListed ? is_inside(near_prefixes_, near_) : near_ != mapped_.primary;
    if (!may_be_meant) return {};
    ++near_pair_count;
    TRY(near_pairs_.append_u64(fingerprinter_(near_)));
    return near_pairs_.append_u64(fingerprint);
  }

  enum class Place { outside, inside };

  // Evenly spaced rows, as KeySample does it: a table that is cut at its front or its end still has some of them. Rows outside the
  // prefixes serve only while there is none inside: the snapshot of a wave does not hold their keys.
  void keep_control(const ReferenceRow& row, Place place) {
    if (place == Place::inside && controls_at_ == Place::outside) {
      facts.controls.clear();
      controls_seen_ = 0;
      control_stride_ = 1;
      controls_at_ = Place::inside;
    }
    if (place != controls_at_) return;
    if (controls_seen_++ % control_stride_ != 0) return;
    if (facts.controls.size() == kMaxControls) {
      for (std::size_t i = 1; i < kMaxControls / 2; ++i) facts.controls[i] = std::move(facts.controls[2 * i]);
      facts.controls.resize(kMaxControls / 2);
      control_stride_ *= 2;
    }
    ReferenceControl control{std::string(row.value), std::nullopt};
    if (row.bucket) control.bucket = std::string(*row.bucket);
    facts.controls.push_back(std::move(control));
  }

  const SourcePolicy& policy_;
  std::span<const std::string> prefixes_;
  const Fingerprinter& fingerprinter_;
  SnapshotWriter& near_pairs_;
  KeySample& sample_;
  Progress& progress_;
  Mapped mapped_;
  std::string near_;
  std::vector<std::string> near_prefixes_;
  Place controls_at_ = Place::outside;
  std::uint64_t controls_seen_ = 0;
  std::uint64_t control_stride_ = 1;
};

void sort_distinct(GrowingU64& array) {
  const auto values = array.values();
  std::sort(values.begin(), values.end());
  array.truncate(static_cast<std::size_t>(std::unique(values.begin(), values.end()) - values.begin()));
}

Result<SectionEntry> write_section(SnapshotWriter& writer, ReferenceSnapshot::Kind kind, std::size_t source,
                                   GrowingU64 array) {
  sort_distinct(array);
  const SectionEntry entry{kind, source, writer.offset(), array.values().size()};
  TRY(writer.append_array(array.values()));
  return entry;
}

Result<SourceReader*> read_source(const SourceBinding& binding, SourceReader& reader, std::stop_token stop) {
  auto summary = binding.source->read(reader, stop);
  if (!summary) return with_context(summary.error(), format("references '{}'", binding.policy->name));
  reader.facts.identity = summary->identity;
  reader.facts.writers = summary->writers;
  reader.facts.as_of = summary->as_of;
  reader.facts.partial = summary->partial;
  if (summary->rows != reader.facts.rows) {
    return Error{ErrorCode::corrupt, format("references '{}': the source says {} and handed over {}", binding.policy->name,
                                            count_of(summary->rows, "row"), with_thousands(reader.facts.rows))};
  }
  return &reader;
}

}  // namespace

Result<ReferenceSnapshot> take_snapshot(std::span<const SourceBinding> sources, std::span<const std::string> prefixes,
                                        const std::filesystem::path& path, std::uint64_t salt, Progress& progress,
                                        std::stop_token stop) {
  using Kind = ReferenceSnapshot::Kind;
  const Fingerprinter fingerprinter(salt);
  struct Unlink {
    const std::filesystem::path& path;
    ~Unlink() { unlink(path.c_str()); }
  } unlink_at_end{path};
  TRY_ASSIGN(SnapshotWriter writer, SnapshotWriter::create(path, salt));
  KeySample sample;
  SnapshotMetadata metadata;
  std::vector<std::unique_ptr<SourceReader>> readers;
  for (const SourceBinding& binding : sources) {
    readers.push_back(
        std::make_unique<SourceReader>(*binding.policy, prefixes, fingerprinter, writer, sample, progress));
    TRY(read_source(binding, *readers.back(), stop));
    metadata.near_pairs += readers.back()->near_pair_count;
  }
  for (std::size_t i = 0; i < readers.size(); ++i) {
    SourceReader& reader = *readers[i];
    const bool folders = sources[i].policy->mapping.as == KeyForm::prefix;
    TRY_ASSIGN(const SectionEntry counted, write_section(writer, folders ? Kind::prefix : Kind::primary, i,
                                                         std::move(folders ? reader.folders : reader.primary)));
    TRY_ASSIGN(const SectionEntry protecting, write_section(writer, Kind::protecting, i, std::move(reader.protecting)));
    reader.facts.distinct_keys = counted.count;
    metadata.sections.push_back(counted);
    metadata.sections.push_back(protecting);
    metadata.sources.push_back(std::move(reader.facts));
  }
  metadata.key_sample = sample.take();
  TRY(writer.seal(metadata));
  return ReferenceSnapshot::open(path);
}

}  // namespace heimdall
