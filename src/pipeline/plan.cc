#include "pipeline/plan.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "pipeline/object_codec.h"
#include "pipeline/references/snapshot_format.h"

namespace heimdall {

namespace {

// The first byte of each record.
enum class Tag : std::uint64_t { head = 1, bucket = 2, candidate = 3 };

constexpr std::array kPlanFigures = {
    &BucketFigures::total_objects,     &BucketFigures::total_bytes,      &BucketFigures::references,
    &BucketFigures::referenced_objects, &BucketFigures::referenced_bytes, &BucketFigures::protected_objects,
    &BucketFigures::protected_bytes,   &BucketFigures::orphans_found,    &BucketFigures::orphan_bytes,
    &BucketFigures::young_objects,     &BucketFigures::in_grace_objects, &BucketFigures::in_grace_bytes,
    &BucketFigures::due_objects,       &BucketFigures::due_bytes,        &BucketFigures::dangling_references,
    &BucketFigures::near_misses,       &BucketFigures::unmapped_references};

std::string encode_bucket(const BucketPlan& bucket) {
  std::string out;
  append_varint(out, static_cast<std::uint64_t>(Tag::bucket));
  append_bytes(out, bucket.bucket);
  append_bytes(out, bucket.bucket_identity);
  append_bytes(out, bucket.policy_digest);
  append_time(out, bucket.started);
  append_varint(out, static_cast<std::uint64_t>(bucket.min_age.count()));
  append_varint(out, static_cast<std::uint64_t>(bucket.grace.count()));
  for (const auto figure : kPlanFigures) append_varint(out, bucket.figures.*figure);
  append_time(out, bucket.figures.grace_ends);
  append_varint(out, bucket.ranges);
  append_varint(out, bucket.unlisted_ranges);
  append_varint(out, bucket.candidates);
  append_varint(out, bucket.candidate_bytes);
  append_varint(out, bucket.sources.size());
  for (const SourceFacts& facts : bucket.sources) encode(out, facts);
  for (RecheckForm form : bucket.recheck_forms) append_varint(out, static_cast<std::uint64_t>(form));
  append_varint(out, static_cast<std::uint64_t>(bucket.references_read_in.count()));
  return out;
}

BucketPlan decode_bucket(RecordDecoder& in) {
  BucketPlan bucket;
  bucket.bucket = in.bytes();
  bucket.bucket_identity = in.bytes();
  bucket.policy_digest = in.bytes();
  bucket.started = in.time().value_or(Timestamp{});
  bucket.min_age = std::chrono::milliseconds(static_cast<std::int64_t>(in.varint()));
  bucket.grace = std::chrono::milliseconds(static_cast<std::int64_t>(in.varint()));
  for (const auto figure : kPlanFigures) bucket.figures.*figure = in.varint();
  bucket.figures.grace_ends = in.time();
  bucket.ranges = in.varint();
  bucket.unlisted_ranges = in.varint();
  bucket.candidates = in.varint();
  bucket.candidate_bytes = in.varint();
  for (std::uint64_t n = in.varint(); n > 0 && in.ok(); --n) bucket.sources.push_back(decode_source_facts(in));
  for (std::size_t i = 0; i < bucket.sources.size(); ++i) bucket.recheck_forms.push_back(static_cast<RecheckForm>(in.varint()));
  bucket.references_read_in = std::chrono::nanoseconds(static_cast<std::int64_t>(in.varint()));
  return bucket;
}

Error undecodable(const std::filesystem::path& path) {
  return Error{ErrorCode::corrupt, format("the plan '{}' does not decode", path.string())};
}

// Calls `visit` with every Orphan of the findings that the selection takes, before its limit.
template <class Visit>
Result<void> for_each_selected(const Findings& findings, const Selection& selection, Visit visit) {
  TRY_ASSIGN(RecordReader reader, RecordReader::open(findings.orphans.path(), kOrphansKind, 1));
  for (;;) {
    TRY_ASSIGN(const auto record, reader.next());
    if (!record) return {};
    TRY_ASSIGN(Orphan orphan, decode_orphan(*record));
    const bool due = orphan.state == OrphanState::due;
    const bool in_grace = orphan.state == OrphanState::in_grace;
    if (due || (in_grace && selection.grace == Selection::Grace::ignore)) TRY(visit(std::move(orphan)));
  }
}

// Chooses the oldest `limit` of the selected orphans: all before `before`, and the first `ties` of that very date.
struct AgeLimit {
  Timestamp before = Timestamp::max();
  std::uint64_t ties = 0;

  bool takes(Timestamp last_modified) {
    if (last_modified < before) return true;
    if (last_modified > before || ties == 0) return false;
    --ties;
    return true;
  }
};

Result<AgeLimit> age_limit(const Findings& findings, const Selection& selection) {
  AgeLimit age;
  if (!selection.limit || selected(findings, selection).objects <= *selection.limit) return age;
  std::vector<Timestamp> dates;
  TRY(for_each_selected(findings, selection, [&](Orphan orphan) -> Result<void> {
    dates.push_back(orphan.object.last_modified.value_or(Timestamp::max()));
    return {};
  }));
  const auto nth = dates.begin() + static_cast<std::ptrdiff_t>(*selection.limit);
  std::nth_element(dates.begin(), nth, dates.end());
  age.before = *nth;
  const auto older = std::count_if(dates.begin(), dates.end(), [&](Timestamp t) { return t < age.before; });
  age.ties = *selection.limit - static_cast<std::uint64_t>(older);
  return age;
}

}  // namespace

Result<std::uint64_t> planned_bytes(const Findings& findings, const Selection& selection) {
  TRY_ASSIGN(AgeLimit limit, age_limit(findings, selection));
  std::uint64_t bytes = 0;
  TRY(for_each_selected(findings, selection, [&](Orphan orphan) -> Result<void> {
    if (limit.takes(*orphan.object.last_modified)) bytes += orphan.object.size_bytes;
    return {};
  }));
  return bytes;
}

class PlanWriter {
 public:
  explicit PlanWriter(RecordWriter file) : file_(std::move(file)) {}

  Result<void> add_head(const PlanOptions& options, Timestamp created) {
    std::string out;
    append_varint(out, static_cast<std::uint64_t>(Tag::head));
    append_bytes(out, options.run_id);
    append_time(out, created);
    append_varint(out, options.selection.grace == Selection::Grace::ignore ? 1 : 0);
    append_varint(out, options.accepted.size());
    for (Guard guard : options.accepted) append_bytes(out, name_of(guard));
    return file_.add(out);
  }

  Result<void> add_bucket(const Findings& findings, const BucketPolicy& policy, const Selection& selection) {
    BucketPlan bucket;
    bucket.bucket = findings.bucket;
    bucket.bucket_identity = findings.bucket_identity;
    bucket.policy_digest = policy.digest;
    bucket.started = findings.started;
    bucket.min_age = policy.min_age;
    bucket.grace = policy.grace;
    bucket.figures = findings.figures;
    bucket.ranges = findings.ranges;
    bucket.unlisted_ranges = findings.failures.size();
    bucket.sources = findings.sources;
    bucket.recheck_forms = findings.recheck_forms;
    bucket.recheck_forms.resize(findings.sources.size(), RecheckForm::whole);
    bucket.references_read_in = findings.references_read_in;
    TRY_ASSIGN(const AgeLimit limit, age_limit(findings, selection));
    AgeLimit counting = limit;
    TRY(for_each_selected(findings, selection, [&](Orphan orphan) -> Result<void> {
      if (!counting.takes(*orphan.object.last_modified)) return {};
      ++bucket.candidates;
      bucket.candidate_bytes += orphan.object.size_bytes;
      return {};
    }));
    TRY(file_.add(encode_bucket(bucket)));
    AgeLimit taking = limit;
    return for_each_selected(findings, selection, [&](Orphan orphan) -> Result<void> {
      if (!taking.takes(*orphan.object.last_modified)) return {};
      std::string out;
      append_varint(out, static_cast<std::uint64_t>(Tag::candidate));
      append_object(out, orphan.object);
      append_time(out, orphan.first_seen);
      return file_.add(out);
    });
  }

  Result<void> seal() {
    TRY(file_.seal());
    return {};
  }

  static Result<void> decode_head(Plan& plan, RecordDecoder& in) {
    plan.run_id_ = in.bytes();
    plan.created_ = in.time().value_or(Timestamp{});
    plan.grace_ = in.varint() == 1 ? Selection::Grace::ignore : Selection::Grace::respect;
    for (std::uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
      const auto guard = guard_named(in.bytes());
      if (!guard) return undecodable(plan.path_);
      plan.accepted_.push_back(*guard);
    }
    return {};
  }

 private:
  RecordWriter file_;
};

Result<Plan> write_plan(const std::filesystem::path& path, std::span<const Findings* const> findings,
                        std::span<const BucketPolicy* const> policies, const PlanOptions& options) {
  TRY_ASSIGN(RecordWriter file, RecordWriter::create(path, kPlanKind, kPlanVersion));
  PlanWriter writer(std::move(file));
  Timestamp created = Timestamp::max();
  for (const Findings* found : findings) created = std::min(created, found->started);
  TRY(writer.add_head(options, created));
  for (std::size_t i = 0; i < findings.size(); ++i) {
    TRY(writer.add_bucket(*findings[i], *policies[i], options.selection));
  }
  TRY(writer.seal());
  return Plan::open(path);
}

Result<Plan> Plan::open(const std::filesystem::path& path) {
  Plan plan;
  plan.path_ = path;
  TRY_ASSIGN(RecordReader reader, RecordReader::open(path, kPlanKind, kPlanVersion));
  std::uint64_t in_bucket = 0;
  for (;;) {
    TRY_ASSIGN(const auto record, reader.next());
    if (!record) break;
    RecordDecoder in(*record);
    const auto tag = static_cast<Tag>(in.varint());
    if ((tag == Tag::head) != plan.run_id_.empty()) return undecodable(path);
    if (tag == Tag::head) {
      TRY(PlanWriter::decode_head(plan, in));
    } else if (tag == Tag::bucket) {
      if (!plan.buckets_.empty() && in_bucket != plan.buckets_.back().candidates) return undecodable(path);
      plan.buckets_.push_back(decode_bucket(in));
      in_bucket = 0;
    } else if (tag == Tag::candidate && !plan.buckets_.empty()) {
      ++in_bucket;
      continue;  // decoded by for_each()
    } else {
      return undecodable(path);
    }
    if (!in.ok() || !in.at_end()) return undecodable(path);
  }
  if (plan.buckets_.empty() || in_bucket != plan.buckets_.back().candidates) return undecodable(path);
  plan.digest_ = reader.digest();
  return plan;
}

std::uint64_t Plan::candidates() const {
  std::uint64_t count = 0;
  for (const BucketPlan& bucket : buckets_) count += bucket.candidates;
  return count;
}

Result<void> Plan::for_each(const std::function<Result<void>(const BucketPlan&, const Candidate&)>& visit) const {
  TRY_ASSIGN(RecordReader reader, RecordReader::open(path_, kPlanKind, kPlanVersion));
  // Before the first visit: another plan may lie there by now, and whoever visits may delete.
  TRY(prove(reader));
  if (reader.digest() != digest_) {
    return Error{ErrorCode::corrupt, format("the plan '{}' was replaced after it was opened", path_.string()),
                 "nothing of what lies there now was looked at; run the command again"};
  }
  TRY(reader.read_again());
  std::size_t bucket = 0;
  for (;;) {
    TRY_ASSIGN(const auto record, reader.next());
    if (!record) break;
    RecordDecoder in(*record);
    const auto tag = static_cast<Tag>(in.varint());
    if (tag == Tag::bucket) ++bucket;
    if (tag != Tag::candidate) continue;
    Candidate candidate;
    candidate.object = decode_object(in);
    const auto first_seen = in.time();
    if (!in.ok() || !in.at_end() || !first_seen || bucket == 0 || bucket > buckets_.size()) return undecodable(path_);
    candidate.first_seen = *first_seen;
    TRY(visit(buckets_[bucket - 1], candidate));
  }
  if (reader.digest() != digest_) {
    return Error{ErrorCode::corrupt, format("the plan '{}' was altered while it was read", path_.string())};
  }
  return {};
}

std::string recheck_cost_of(const BucketPlan& bucket, std::size_t source) {
  constexpr auto kMuch = std::chrono::seconds(60);
  switch (bucket.recheck_forms.at(source)) {
    case RecheckForm::lookup: return "each batch asks its index again";
    case RecheckForm::impossible: return "it cannot be read again, so this plan cannot be applied: write the list to a file";
    case RecheckForm::whole: break;
  }
  std::string text = format("the sweep reads all of it again at least once (all references of the bucket took {})",
                            human_duration(bucket.references_read_in));
  if (bucket.references_read_in > kMuch) {
    text += "; `as: key` or `as: uri`, companions made of {key} alone, and an index on the column would make that one "
            "cheap query per batch";
  }
  return text;
}

std::string reason_of(const BucketPlan& bucket, const Candidate& candidate) {
  const auto age = bucket.started - candidate.object.last_modified.value_or(bucket.started);
  const auto observed = bucket.started - candidate.first_seen;
  std::string text = format("no reference names it; {} old (min_age {}); an orphan for ", human_duration(age),
                            duration_text(bucket.min_age));
  text += observed <= std::chrono::nanoseconds(0) ? std::string("the first time") : human_duration(observed);
  if (observed < bucket.grace) text += format(", grace {} ignored", duration_text(bucket.grace));
  return text;
}

}  // namespace heimdall
