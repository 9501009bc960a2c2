#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/references/reference_snapshot.h"

namespace heimdall {

// The sealed snapshot file (docs/formats/snapshot.md):
//
//   "HMDLSNAP" version(u64) salt(u64)                  all numbers little endian
//   u64 arrays, one per section, each sorted           at multiples of 64
//   pairs of u64, sorted: near form's fingerprint, reference's fingerprint
//   metadata (io/codec.h)                              where these are, facts of each source, key sample
//   metadata length(u64) xxh3(16 bytes, of all before) "SEALED\0\0"
inline constexpr std::string_view kSnapshotMagic = "HMDLSNAP";
inline constexpr std::uint64_t kSnapshotVersion = 2;
inline constexpr std::size_t kSnapshotHeaderSize = 24;
inline constexpr std::size_t kSnapshotAlignment = 64;  // of sections
inline constexpr std::string_view kSnapshotSeal{"SEALED\0\0", 8};
inline constexpr std::size_t kSnapshotDigestSize = 16;
inline constexpr std::size_t kSnapshotTrailerSize = 8 + kSnapshotDigestSize + 8;

struct SectionEntry {
  ReferenceSnapshot::Kind kind;
  std::uint64_t source = 0;
  std::uint64_t offset = 0;
  std::uint64_t count = 0;
};

struct SnapshotMetadata {
  std::uint64_t near_pairs_offset = 0;
  std::uint64_t near_pairs_count = 0;
  std::vector<SectionEntry> sections;
  std::vector<SourceFacts> sources;
  std::vector<std::string> key_sample;
};

std::string encode(const SnapshotMetadata& metadata);
// corrupt if it does not decode to the last byte.
Result<SnapshotMetadata> decode_snapshot_metadata(std::string_view bytes);

// SourceFacts travel in plans, too.
void encode(std::string& out, const SourceFacts& facts);
SourceFacts decode_source_facts(class RecordDecoder& in);

}  // namespace heimdall
