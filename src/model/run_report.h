#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/guard.h"
#include "model/object.h"
#include "model/reference.h"

namespace heimdall {

// What became of one key of a sweep. Names are a contract.
enum class Outcome { deleted, already_gone, failed, skipped_referenced, skipped_changed, in_doubt };
std::string_view to_string(Outcome outcome);
std::optional<Outcome> outcome_named(std::string_view name);

// One line of the journal.
struct Deletion {
  std::string bucket;
  ObjectMeta object;
  Outcome outcome = Outcome::in_doubt;
  std::string error;  // one sentence; empty unless failed, in doubt or skipped for a reason worth telling
};

// The figures of one bucket in one run. Every object is exactly one of referenced, protected, young, in grace, due.
struct BucketFigures {
  std::uint64_t total_objects = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t references = 0;  // distinct keys after mapping, without companions
  std::uint64_t referenced_objects = 0;
  std::uint64_t referenced_bytes = 0;
  std::uint64_t protected_objects = 0;
  std::uint64_t protected_bytes = 0;
  std::uint64_t orphans_found = 0;  // = young + in_grace + due
  std::uint64_t orphan_bytes = 0;
  std::uint64_t young_objects = 0;
  std::uint64_t in_grace_objects = 0;
  std::uint64_t in_grace_bytes = 0;
  std::uint64_t due_objects = 0;
  std::uint64_t due_bytes = 0;
  std::uint64_t orphans_deleted = 0;
  std::uint64_t bytes_deleted = 0;
  std::uint64_t deletion_failures = 0;  // failed or in doubt
  std::uint64_t skipped_referenced = 0;
  std::uint64_t skipped_changed = 0;
  std::uint64_t already_gone = 0;
  std::uint64_t dangling_references = 0;
  std::uint64_t near_misses = 0;  // among the protected
  std::uint64_t unmapped_references = 0;
  std::optional<Timestamp> grace_ends;  // the first object in grace becomes due then
  bool operator==(const BucketFigures&) const = default;
};

// Where the time of one bucket's sweep went: that of its workers together, but for `wall`.
struct SweepTimes {
  std::chrono::nanoseconds wall{0};
  std::chrono::nanoseconds recheck{0};
  std::chrono::nanoseconds compare{0};
  std::chrono::nanoseconds journal{0};
  std::chrono::nanoseconds remove{0};
  unsigned workers = 0;  // batches at once that the store liked best

  bool operator==(const SweepTimes&) const = default;

  // Of what was deleted.
  double per_second(const BucketFigures& figures) const {
    return wall.count() > 0 ? static_cast<double>(figures.orphans_deleted) / std::chrono::duration<double>(wall).count() : 0;
  }
};

// Adds one outcome to the figures.
void count(BucketFigures& figures, Outcome outcome, std::uint64_t size_bytes);
// Sets those of the figures that count() raises to the ones of `counted`.
void set_outcomes(BucketFigures& figures, const BucketFigures& counted);

enum class RunStatus { running, success, partial, failed, refused, interrupted };
std::string_view to_string(RunStatus status);
std::optional<RunStatus> run_status_named(std::string_view name);

// One run as the history keeps it and the summary shows it.
struct RunReport {
  enum class DryRun { yes, no };

  std::string run_id;
  std::string command;
  std::string trigger;  // what asked for it: "schedule NAME", "api"; empty: a person at the command line
  RunStatus status = RunStatus::running;
  bool dry_run = false;
  Timestamp started_at{};
  std::optional<Timestamp> completed_at;
  std::map<std::string, BucketFigures> buckets;
  std::map<std::string, SweepTimes> sweeps;  // of the buckets that this run swept
  std::string error;  // why it failed, was refused or is partial; one sentence
  std::set<std::string> scanned = {};  // buckets that this run listed completely: their figures are its own, not a plan's
};

// Figures of the last run whose guards passed or were accepted.
struct Baseline {
  struct Source {
    std::string name;
    SourceIdentity identity;
    std::uint64_t rows = 0;  // references read, without blanks
    bool operator==(const Source&) const = default;
  };
  std::string bucket_identity;
  std::vector<Source> sources;
  Timestamp recorded_at{};
  bool operator==(const Baseline&) const = default;
};

}  // namespace heimdall
