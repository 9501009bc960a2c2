#include "pipeline/listing/classify.h"

#include <algorithm>
#include <cstdio>

#include "base/format.h"
#include "base/text.h"
#include "model/near_form.h"
#include "pipeline/listing/ledger.h"
#include "pipeline/object_codec.h"

namespace heimdall {

std::string encode(const Orphan& orphan) {
  std::string record;
  append_object(record, orphan.object);
  append_varint(record, static_cast<std::uint64_t>(orphan.state));
  append_time(record, orphan.first_seen);
  return record;
}

Result<Orphan> decode_orphan(std::string_view record) {
  RecordDecoder in(record);
  Orphan orphan;
  orphan.object = decode_object(in);
  orphan.state = static_cast<OrphanState>(in.varint());
  const auto first_seen = in.time();
  if (!in.ok() || !in.at_end() || !first_seen || orphan.state > OrphanState::due) {
    return Error{ErrorCode::corrupt, "an orphan's record does not decode"};
  }
  orphan.first_seen = *first_seen;
  return orphan;
}

namespace {

Result<LedgerReader> open_ledger(const std::filesystem::path& path, Progress& progress) {
  auto ledger = LedgerReader::open(path);
  if (ledger || ledger.error().code != ErrorCode::corrupt) return ledger;
  std::filesystem::path aside = path;
  aside += ".damaged";
  if (std::rename(path.c_str(), aside.c_str()) != 0) {
    return system_error(errno, format("cannot set the damaged ledger '{}' aside", path.string()));
  }
  progress.warn(format("{}; it is kept as '{}' and grace starts again for every orphan of this bucket",
                       ledger.error().message, aside.string()));
  return LedgerReader::open(path);
}

class Classifier {
 public:
  Classifier(const ReferenceSnapshot& snapshot, const BucketPolicy& policy, Findings& findings, LedgerReader ledger,
             RecordWriter orphans, RecordWriter believed, RecordWriter refused)
      : snapshot_(snapshot), policy_(policy), findings_(findings), ledger_(std::move(ledger)),
        orphans_(std::move(orphans)), believed_(std::move(believed)), refused_(std::move(refused)) {}

  Result<void> add(ObjectMeta object) {
    BucketFigures& figures = findings_.figures;
    TRY_ASSIGN(const bool near_miss, is_near_miss(object.key.bytes()));
    if (near_miss) {
      ++figures.near_misses;
      ++figures.protected_objects;
      figures.protected_bytes += object.size_bytes;
      if (findings_.near_miss_examples.size() < 3) findings_.near_miss_examples.push_back(object.key.bytes());
      return {};
    }
    TRY_ASSIGN(const auto known_since, ledger_.first_seen(object));
    Orphan orphan{std::move(object), OrphanState::due, known_since.value_or(findings_.started)};
    orphan.state = state_of(orphan);
    ++figures.orphans_found;
    figures.orphan_bytes += orphan.object.size_bytes;
    switch (orphan.state) {
      case OrphanState::young: ++figures.young_objects; break;
      case OrphanState::in_grace: count_in_grace(orphan); break;
      case OrphanState::due:
        ++figures.due_objects;
        figures.due_bytes += orphan.object.size_bytes;
        break;
    }
    TRY(orphans_.add(encode(orphan)));
    const std::string entry = encode(LedgerEntry{std::move(orphan.object), orphan.first_seen});
    TRY(believed_.add(entry));
    if (known_since) TRY(refused_.add(entry));
    return {};
  }

  Result<void> finish() {
    TRY(orphans_.seal(RecordWriter::Durability::scratch));
    TRY(believed_.seal());
    TRY(refused_.seal());
    return {};
  }

 private:
  // With a range missing, a reference may only seem to dangle: more is kept then, never less.
  Result<bool> is_near_miss(std::string_view key) {
    near_form(key, near_);
    const std::uint64_t fingerprint = snapshot_.fingerprinter()(near_);
    if (snapshot_.is_dangling(fingerprint)) return true;
    return snapshot_.is_near_form_of_dangling(fingerprint);
  }

  // Stores date by the second or finer: what bears the very date of the cutoff may be newer than it.
  OrphanState state_of(const Orphan& orphan) const {
    if (!orphan.object.last_modified || *orphan.object.last_modified >= findings_.young_after) return OrphanState::young;
    if (orphan.first_seen + policy_.grace > findings_.started) return OrphanState::in_grace;
    return OrphanState::due;
  }

  void count_in_grace(const Orphan& orphan) {
    ++findings_.figures.in_grace_objects;
    findings_.figures.in_grace_bytes += orphan.object.size_bytes;
    const Timestamp ends = orphan.first_seen + policy_.grace;
    std::optional<Timestamp>& first = findings_.figures.grace_ends;
    if (!first || ends < *first) first = ends;
  }

  const ReferenceSnapshot& snapshot_;
  const BucketPolicy& policy_;
  Findings& findings_;
  LedgerReader ledger_;
  RecordWriter orphans_;
  RecordWriter believed_;
  RecordWriter refused_;
  std::string near_;
};

Result<void> add_spool(Classifier& classifier, const std::filesystem::path& path) {
  TRY_ASSIGN(RecordReader reader, RecordReader::open(path, kOrphansKind, 1));
  for (;;) {
    TRY_ASSIGN(const auto record, reader.next());
    if (!record) return {};
    RecordDecoder in(*record);
    ObjectMeta object = decode_object(in);
    if (!in.ok() || !in.at_end()) return Error{ErrorCode::corrupt, "the record of an unreferenced object does not decode"};
    TRY(classifier.add(std::move(object)));
  }
}

// Invariant 3: what is newer than the start of the snapshot is young whatever min_age says; so is what a list cannot know yet.
Timestamp young_after(const ReferenceSnapshot& snapshot, const BucketPolicy& policy, Timestamp started) {
  Timestamp limit = std::min(started, started - policy.min_age);
  for (const SourceFacts& facts : snapshot.sources()) {
    if (facts.as_of) limit = std::min(limit, *facts.as_of);
  }
  return limit;
}

}  // namespace

Result<void> classify(std::vector<ScratchFile> spools, const ReferenceSnapshot& snapshot, const BucketPolicy& policy,
                      const ScanOptions& options, Findings& findings, Progress& progress) {
  const auto scratch = [&](const char* name) { return std::filesystem::path(options.scratch.string() + name); };
  findings.young_after = young_after(snapshot, policy, options.started);
  findings.figures.references = snapshot.references();
  findings.figures.dangling_references = findings.complete() ? snapshot.dangling() : 0;
  for (std::size_t i = 0; i < snapshot.sources().size(); ++i) {
    findings.sources.push_back(snapshot.sources()[i]);
    findings.source_hits.push_back(snapshot.hits_of(i));
    findings.figures.unmapped_references += snapshot.sources()[i].unmapped;
  }
  TRY_ASSIGN(LedgerReader ledger, open_ledger(options.ledger, progress));
  TRY_ASSIGN(RecordWriter orphans, RecordWriter::create(scratch(".orphans"), kOrphansKind, 1));
  TRY_ASSIGN(RecordWriter believed, RecordWriter::create(scratch(".ledger"), kLedgerKind, kLedgerVersion));
  TRY_ASSIGN(RecordWriter refused, RecordWriter::create(scratch(".refused"), kLedgerKind, kLedgerVersion));
  Classifier classifier(snapshot, policy, findings, std::move(ledger), std::move(orphans), std::move(believed),
                        std::move(refused));
  for (const ScratchFile& spool : spools) TRY(add_spool(classifier, spool.path()));
  TRY(classifier.finish());
  findings.orphans = ScratchFile(scratch(".orphans"));
  findings.ledger = ScratchFile(scratch(".ledger"));
  findings.ledger_refused = ScratchFile(scratch(".refused"));
  return {};
}

}  // namespace heimdall
