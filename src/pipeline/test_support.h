#pragma once

// A bucket with everything a run needs, for the tests in this folder; never part of the product.

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "pipeline/findings.h"
#include "pipeline/judge.h"
#include "pipeline/plan.h"
#include "pipeline/listing/scan.h"
#include "pipeline/references/snapshot.h"
#include "testing/fake_clock.h"
#include "testing/fake_source.h"
#include "testing/fake_store.h"
#include "testing/temp_dir.h"

namespace heimdall::testing {

inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void write_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

using Days = std::chrono::days;

// One bucket "raw", its policy, its references and its files. Objects put by put_old() are well past min_age (30 days); grace is the
// default of 72 h, so that nothing is due at a first scan: set policy.grace to zero where grace is not what is tested.
class TestBucket {
 public:
  TestBucket() {
    policy.name = "raw";
    policy.mode = Mode::remove;
    policy.digest = "policy-digest-1";
  }

  // A further source. The policy's vector may move: take references to its elements only when all are there.
  FakeSource& add_source(const std::vector<std::string>& values, KeyForm as = KeyForm::automatic) {
    SourcePolicy source;
    source.name = "source " + std::to_string(policy.sources.size());
    source.mapping.as = as;
    source.mapping.bucket = policy.name;
    policy.sources.push_back(std::move(source));
    return sources.emplace_back(values);
  }

  ObjectMeta put_old(std::string_view key, std::uint64_t size_bytes = 1, std::chrono::nanoseconds age = Days(90)) {
    return store.put_at(key, size_bytes, clock.now() - age);
  }

  std::vector<SourceBinding> bindings() {
    std::vector<SourceBinding> result;
    for (std::size_t i = 0; i < sources.size(); ++i) result.push_back({&sources[i], &policy.sources[i]});
    return result;
  }

  std::filesystem::path ledger() const { return dir.path() / "ledger"; }
  std::filesystem::path scratch() const { return dir.path() / "scratch"; }

  Result<ReferenceSnapshot> snapshot() {
    return take_snapshot(bindings(), policy.prefixes, dir.path() / "snapshot", salt, progress, {});
  }

  // Snapshot and scan, as a run does them.
  Result<Findings> scan() { return scan_through(store); }
  Result<Findings> scan_through(ObjectReader& reader) {
    TRY_ASSIGN(const Timestamp started, reader.server_time());
    TRY_ASSIGN(ReferenceSnapshot references, snapshot());
    return scan_with(references, started, reader);
  }
  Result<Findings> scan_with(ReferenceSnapshot& references, Timestamp started, ObjectReader& reader) {
    ScanOptions options;
    options.workers = workers;
    options.scratch = scratch();
    options.ledger = ledger();
    options.started = started;
    return heimdall::scan(reader, references, policy, options, progress, {});
  }

  // The ledger becomes what a believed (or refused) run makes of it.
  void keep_ledger(const Findings& findings) { copy_ledger(findings.ledger); }
  void keep_refused_ledger(const Findings& findings) { copy_ledger(findings.ledger_refused); }

  JudgeInput judge_input(const Findings& findings) const { return {findings, policy, baseline, {}, clock.now(), {}}; }

  FakeClock clock;
  FakeStore store{clock};
  BucketPolicy policy;
  std::deque<FakeSource> sources;
  std::optional<Baseline> baseline;
  TempDir dir;
  NoProgress progress;
  std::uint64_t salt = 42;
  unsigned workers = 1;

 private:
  void copy_ledger(const ScratchFile& file) {
    std::filesystem::copy_file(file.path(), ledger(), std::filesystem::copy_options::overwrite_existing);
  }
};

// Says that it handed over more rows than it did: an end that was lost on the way.
class ForgetfulSource final : public ReferenceSource {
 public:
  Result<SourceIdentity> identity() override { return SourceIdentity{}; }
  Result<ReadSummary> read(RowSink& sink, std::stop_token) override {
    const ReferenceRow row{"a", std::nullopt};
    TRY(sink.add({&row, 1}));
    return ReadSummary{2, {}, {}, std::nullopt, std::nullopt};
  }
  bool can_read_again() const override { return true; }
  Result<LookupCost> lookup_cost() override { return LookupCost::indexed; }
  Result<ReadSummary> lookup(std::span<const std::string>, RowSink& sink, std::stop_token stop) override {
    return read(sink, stop);
  }
  Result<void> wait_for_writers(const WriterMark&, std::chrono::milliseconds, std::stop_token) override { return {}; }
};

// The orphans of a scan by key.
inline std::map<std::string, Orphan> orphans_of(const Findings& findings) {
  std::map<std::string, Orphan> result;
  auto reader = RecordReader::open(findings.orphans.path(), kOrphansKind, 1);
  if (!reader) {
    ADD_FAILURE() << reader.error().message;
    return result;
  }
  for (;;) {
    const auto record = reader->next();
    if (!record) ADD_FAILURE() << record.error().message;
    if (!record || !*record) return result;
    auto orphan = decode_orphan(**record);
    if (!orphan) {
      ADD_FAILURE() << orphan.error().message;
      return result;
    }
    const std::string key = orphan->object.key.bytes();
    EXPECT_TRUE(result.emplace(key, std::move(*orphan)).second) << "twice: " << key;
  }
}

inline std::set<std::string> orphans_of(const Findings& findings, OrphanState state) {
  std::set<std::string> result;
  for (const auto& [key, orphan] : orphans_of(findings)) {
    if (orphan.state == state) result.insert(key);
  }
  return result;
}

inline std::set<std::string> due_keys(const Findings& findings) { return orphans_of(findings, OrphanState::due); }

inline Result<Plan> plan_of(const TestBucket& bucket, const Findings& findings, const Selection& selection = {},
                            const std::string& name = "plan") {
  const Findings* found[] = {&findings};
  const BucketPolicy* policies[] = {&bucket.policy};
  return write_plan(bucket.dir.path() / name, found, policies, {"run-1", selection, {}});
}

// The candidates in the order of the plan.
inline std::vector<std::string> candidates_of(const Plan& plan) {
  std::vector<std::string> keys;
  const auto read = plan.for_each([&](const BucketPlan&, const Candidate& candidate) -> Result<void> {
    keys.push_back(candidate.object.key.bytes());
    return {};
  });
  if (!read) ADD_FAILURE() << read.error().message;
  return keys;
}

// The names of the guards that refuse, in order.
inline std::vector<std::string> names_of(const std::vector<Refusal>& refusals) {
  std::vector<std::string> names;
  for (const Refusal& refusal : refusals) names.emplace_back(name_of(refusal.guard));
  return names;
}

}  // namespace heimdall::testing
