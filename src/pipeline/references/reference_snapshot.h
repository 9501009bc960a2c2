#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/mapped_file.h"
#include "model/fingerprint.h"
#include "model/mapping.h"
#include "model/reference.h"
#include "pipeline/references/near_pairs.h"
#include "ports/reference_source.h"

namespace heimdall {

// A row that the snapshot saw naming a key of this bucket: it travels with every recheck, and some must come back.
struct ReferenceControl {
  std::string value;
  std::optional<std::string> bucket;
  bool operator==(const ReferenceControl&) const = default;
};

// What one source said, counted after mapping.
struct SourceFacts {
  std::string name;
  SourceIdentity identity;
  WriterMark writers;
  std::optional<Timestamp> as_of;
  std::optional<std::string> partial;
  std::uint64_t rows = 0;  // blanks included
  std::uint64_t blank = 0;
  std::uint64_t other_bucket = 0;
  std::uint64_t ignored = 0;
  std::uint64_t unmapped = 0;
  std::uint64_t outside_prefixes = 0;
  std::uint64_t distinct_keys = 0;  // primary meanings inside the prefixes
  std::array<std::uint64_t, 7> by_shape{};  // indexed by Shape
  std::vector<std::string> unmapped_examples;       // at most 3, with the reason
  std::array<std::string, 7> shape_examples;        // one value of each shape, empty if none
  std::vector<ReferenceControl> controls;           // at most kMaxControls

  // Rows that name a key of this bucket.
  std::uint64_t own() const { return rows - blank - other_bucket - ignored - unmapped; }
};
inline constexpr std::size_t kMaxControls = 16;

// Stands for a reference outside the prefixes in the pairs of near forms: nobody knows whether its object exists.
inline constexpr std::uint64_t kNotListed = 0;

// The references at one moment, as sorted salted fingerprints in a sealed, memory-mapped file. A key that probe() misses was
// named by no row of the snapshot; a collision can only make it hit. probe() may run on several threads; the figures
// are meaningful once all probes have returned. In memory are 8.4 bytes per entry of a section, once it was touched.
class ReferenceSnapshot {
 public:
  // Maps a file that take_snapshot() sealed. corrupt if its seal is missing or broken. The file may be unlinked afterwards.
  static Result<ReferenceSnapshot> open(const std::filesystem::path& path);

  const Fingerprinter& fingerprinter() const { return fingerprinter_; }
  std::span<const SourceFacts> sources() const { return sources_; }
  // Some keys in order, about equally many references apart: cut points for parallel listings.
  const std::vector<std::string>& key_sample() const { return key_sample_; }

  // hits[i] becomes 1 if keys[i] is referenced (also as a companion, by a further meaning or below a protected prefix), else 0.
  // Remembers which references were hit.
  void probe(std::span<const std::string_view> keys, std::span<std::uint8_t> hits);
  // The same for one key, remembering nothing.
  bool contains(std::string_view key) const;
  // Whether source number `source` alone names the key.
  bool source_contains(std::size_t source, std::string_view key) const;

  // Distinct keys (and prefixes) over all sources. Costs nothing.
  std::uint64_t references() const { return references_; }
  // Those of them that no probed key hit. Costs a look at all marks, and at the keys of all sources but the largest.
  std::uint64_t dangling() const;
  // Of `source` alone: distinct keys that were hit.
  std::uint64_t hits_of(std::size_t source) const;

  // Whether the fingerprint is that of a primary reference that nothing hit.
  bool is_dangling(std::uint64_t fingerprint) const;
  // Whether the fingerprint is that of the near form of a dangling reference that differs from its near form. An error if the file cannot
  // be read any more.
  Result<bool> is_near_form_of_dangling(std::uint64_t fingerprint) const;

  // One sorted array of the file.
  enum class Kind : std::uint8_t { primary, protecting, prefix };
  struct Section {
    Kind kind;
    std::size_t source = 0;
    std::span<const std::uint64_t> entries;
    std::vector<std::uint64_t> starts;  // where the entries with the same top bits begin
    unsigned shift = 63;
    std::unique_ptr<std::atomic<std::uint64_t>[]> marks;  // a bit per entry; none for protecting

    std::optional<std::size_t> find(std::uint64_t fingerprint) const;
    bool is_marked(std::size_t entry) const {
      return (marks[entry / 64].load(std::memory_order_relaxed) >> (entry % 64) & 1U) != 0;
    }
  };

 private:
  ReferenceSnapshot() : fingerprinter_(0) {}
  void probe_section(Section& section, std::span<const std::uint64_t> fingerprints, std::span<std::uint8_t> hits) const;
  void probe_prefixes(Section& section, std::string_view key, std::uint8_t& hit) const;
  // The sections that count, the largest first.
  std::vector<const Section*> counted_sections() const;
  std::uint64_t count_references() const;

  Fingerprinter fingerprinter_;
  MappedFile file_;
  std::vector<SourceFacts> sources_;
  std::vector<std::string> key_sample_;
  std::vector<Section> sections_;
  NearPairs near_pairs_;  // a near form, and the reference that has it or kNotListed
  std::uint64_t references_ = 0;
};

}  // namespace heimdall
