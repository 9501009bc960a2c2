#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "io/record_file.h"
#include "model/run_report.h"
#include "pipeline/references/reference_snapshot.h"
#include "ports/object_store.h"

namespace heimdall {

// A file of this run, removed with its owner.
class ScratchFile {
 public:
  ScratchFile() = default;
  explicit ScratchFile(std::filesystem::path path) : path_(std::move(path)) {}
  ScratchFile(ScratchFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFile& operator=(ScratchFile&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~ScratchFile() {
    if (!path_.empty()) unlink(path_.c_str());
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// How the references of one source are asked again before a delete.
enum class RecheckForm : std::uint8_t {
  lookup,      // an index is asked for each batch
  whole,       // all of it is read again, for many batches at once
  impossible,  // a pipe: nothing can be deleted by it
};

// What classify() decided about an unreferenced, unprotected object.
enum class OrphanState : std::uint8_t {
  young,     // newer than the cutoff
  in_grace,  // not observed to be an orphan for long enough
  due,
};

struct Orphan {
  ObjectMeta object;
  OrphanState state = OrphanState::young;
  Timestamp first_seen{};  // when a complete scan first found it unreferenced
};

inline constexpr std::string_view kOrphansKind = "orphans";
std::string encode(const Orphan& orphan);
Result<Orphan> decode_orphan(std::string_view record);

// Objects that share first path segment and extension and of which none is kept: a source nobody configured?
struct UnreferencedClass {
  std::string name;  // "segment/*.ext"
  std::uint64_t objects = 0;
};

struct RangeFailure {
  ListRange range;
  Error error;
};

// ObjectStore --scan--> Findings: every listed object is referenced, protected, young, in grace or due. Files live as long as this value.
struct Findings {
  std::string bucket;
  std::string bucket_identity;
  Timestamp started{};      // server time before the snapshot: the cutoff everything is measured from
  Timestamp young_after{};  // objects dated then or later are young
  std::chrono::nanoseconds clock_skew{};  // the store's clock against ours when the run started
  BucketFigures figures;
  std::uint64_t ranges = 0;            // into which the listing was cut: checked to tile the prefixes
  std::vector<RangeFailure> failures;  // ranges that were not listed: nothing in them is known
  std::vector<SourceFacts> sources;
  std::vector<RecheckForm> recheck_forms;               // of each source
  std::chrono::nanoseconds references_read_in{};        // how long reading all sources took
  std::vector<std::uint64_t> source_hits;  // distinct keys of each source that exist
  std::vector<UnreferencedClass> unreferenced_classes;
  std::vector<std::string> near_miss_examples;
  std::vector<TreeLink> links;  // sorted, no one twice; also those that ranges met which failed later
  ScratchFile orphans;         // Orphan records in key order
  ScratchFile ledger;          // the orphan ledger as it becomes if the run is believed
  ScratchFile ledger_refused;  // and if a guard refuses: what was known, less what is no orphan any more

  bool complete() const { return failures.empty(); }
};

}  // namespace heimdall
