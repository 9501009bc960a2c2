// The parts of a scan that run once per key, one by one and together.

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/format.h"
#include "io/record_file.h"
#include "model/fingerprint.h"
#include "model/glob.h"
#include "model/mapping.h"
#include "model/near_form.h"
#include "pipeline/object_codec.h"
#include "pipeline/references/reference_snapshot.h"
#include "pipeline/references/snapshot.h"
#include "value_of.h"

namespace heimdall {

namespace {

using bench::kPage, bench::kSalt, bench::value_of;

std::filesystem::path scratch_path(std::string_view name) {
  return std::filesystem::temp_directory_path() / format("heimdall-bench-{}-{}", getpid(), name);
}

// Number `n` of the tree that bench/scan_bench makes, written into `out`.
void key_into(std::uint64_t n, std::string_view folder, std::string& out) {
  out.clear();
  fmt::format_to(std::back_inserter(out), "{}-{:06}/recording-{:08x}-{:07}.npy", folder, n / kPage,
                 static_cast<std::uint32_t>(n * 2654435761), n);
}

// Some values of one kind: few enough to stay in the cache, so that the code is measured and not the memory.
std::vector<std::string> values_with(std::string_view before, std::string_view after) {
  std::vector<std::string> values(kPage);
  for (std::size_t i = 0; i < kPage; ++i) {
    key_into(i * 7919, "session", values[i]);
    values[i] = format("{}{}{}", before, values[i], after);
  }
  return values;
}

// `count` keys, made while they are read.
class GeneratedSource final : public ReferenceSource {
 public:
  explicit GeneratedSource(std::uint64_t count) : count_(count) {}

  Result<SourceIdentity> identity() override { return SourceIdentity{"generated", "", 0}; }
  Result<ReadSummary> read(RowSink& sink, std::stop_token) override {
    std::vector<std::string> keys(kPage);
    std::vector<ReferenceRow> rows(kPage);
    for (std::uint64_t done = 0; done < count_; done += kPage) {
      for (std::size_t i = 0; i < kPage; ++i) {
        key_into(done + i, "session", keys[i]);
        rows[i].value = keys[i];
      }
      TRY(sink.add(rows));
    }
    ReadSummary summary;
    summary.rows = count_;
    return summary;
  }
  bool can_read_again() const override { return true; }
  Result<LookupCost> lookup_cost() override { return LookupCost::unsupported; }
  Result<ReadSummary> lookup(std::span<const std::string>, RowSink&, std::stop_token) override {
    return Error{ErrorCode::failed_precondition, "only a whole read tells"};
  }
  Result<void> wait_for_writers(const WriterMark&, std::chrono::milliseconds, std::stop_token) override { return {}; }

 private:
  std::uint64_t count_;  // a multiple of kPage
};

MappingRules rules_of(KeyForm as) {
  MappingRules rules;
  rules.as = as;
  rules.bucket = "recordings";
  rules.other_buckets = {"thumbnails", "exports"};
  return rules;
}

ReferenceSnapshot make_snapshot(std::uint64_t count) {
  GeneratedSource source(count);
  SourcePolicy policy;
  policy.name = "generated";
  policy.mapping = rules_of(KeyForm::automatic);
  const SourceBinding binding{&source, &policy};
  const std::string everything;
  NoProgress progress;
  return value_of(take_snapshot({&binding, 1}, {&everything, 1}, scratch_path("snapshot"), kSalt, progress, {}));
}

// Made once per size: several benchmarks probe it.
ReferenceSnapshot& snapshot_of(std::uint64_t count) {
  static std::map<std::uint64_t, ReferenceSnapshot> snapshots;
  const auto at = snapshots.find(count);
  return at != snapshots.end() ? at->second : snapshots.emplace(count, make_snapshot(count)).first->second;
}

// A listing's pages: in key order, spread over the whole bucket, more of them than the caches hold.
std::vector<ObjectPage> pages_of(std::uint64_t references, std::string_view folder) {
  constexpr std::size_t kPages = 200;
  std::vector<ObjectPage> pages(kPages);
  std::string key;
  for (std::size_t page = 0; page < kPages; ++page) {
    for (std::size_t i = 0; i < kPage; ++i) {
      key_into((references / kPages / kPage * kPage) * page + i, folder, key);
      pages[page].add({key, "3f2a1b-65a1b2c3.1f2e3d4c-65a1b2c3.1f2e3d4c", "", 4096, Timestamp(std::chrono::seconds(1'700'000'000))});
    }
  }
  return pages;
}

void per_key(benchmark::State& state) { state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPage)); }

void map_values(benchmark::State& state, KeyForm as, const char* before, const char* after) {
  const MappingRules rules = rules_of(as);
  const auto values = values_with(before, after);
  Mapped mapped;
  for (auto _ : state) {
    for (const std::string& value : values) {
      map_reference(rules, {value, std::nullopt}, mapped);
      benchmark::DoNotOptimize(mapped.primary.data());
    }
  }
  per_key(state);
}
BENCHMARK_CAPTURE(map_values, plain_auto, KeyForm::automatic, "", "");
BENCHMARK_CAPTURE(map_values, plain_as_key, KeyForm::key, "", "");
BENCHMARK_CAPTURE(map_values, uri_auto, KeyForm::automatic, "s3://recordings/", "");
BENCHMARK_CAPTURE(map_values, url_auto, KeyForm::automatic, "https://storage.example.com:9000/recordings/", "?X-Amz-Expires=3600");
BENCHMARK_CAPTURE(map_values, percent_auto, KeyForm::automatic, "M%C3%BCnchen/", "%20a");

void map_with_companion(benchmark::State& state) {
  MappingRules rules = rules_of(KeyForm::automatic);
  rules.companions.push_back(value_of(CompanionTemplate::parse("{dir}/{stem}_metadata.json")));
  const auto values = values_with("", "");
  Mapped mapped;
  for (auto _ : state) {
    for (const std::string& value : values) {
      map_reference(rules, {value, std::nullopt}, mapped);
      benchmark::DoNotOptimize(mapped.protecting.data());
    }
  }
  per_key(state);
}
BENCHMARK(map_with_companion);

void near_forms(benchmark::State& state, const char* before) {
  const auto keys = values_with(before, "");
  std::string near;
  for (auto _ : state) {
    for (const std::string& key : keys) {
      near_form(key, near);
      benchmark::DoNotOptimize(near.data());
    }
  }
  per_key(state);
}
BENCHMARK_CAPTURE(near_forms, ascii, "");
BENCHMARK_CAPTURE(near_forms, utf8, "M\xc3\xbcnchen/");

void fingerprints(benchmark::State& state) {
  const Fingerprinter fingerprinter(kSalt);
  const auto keys = values_with("", "");
  for (auto _ : state) {
    for (const std::string& key : keys) benchmark::DoNotOptimize(fingerprinter(key));
  }
  per_key(state);
}
BENCHMARK(fingerprints);

// The listing's side: a page's keys are fingerprinted and looked up. Half of what the goal of 5 M keys/s is about.
void probe_page(benchmark::State& state, const char* folder) {
  const auto references = static_cast<std::uint64_t>(state.range(0));
  ReferenceSnapshot& snapshot = snapshot_of(references);
  const auto pages = pages_of(references, folder);
  std::vector<std::string_view> keys;
  std::vector<std::uint8_t> hits(kPage);
  std::size_t next = 0;
  for (auto _ : state) {
    const ObjectPage& page = pages[next++ % pages.size()];
    keys.clear();
    for (std::size_t i = 0; i < page.size(); ++i) keys.push_back(page[i].key);
    snapshot.probe(keys, hits);
    benchmark::DoNotOptimize(hits.data());
  }
  per_key(state);
}
BENCHMARK_CAPTURE(probe_page, hits, "session")->Arg(1'000'000)->Arg(10'000'000);
BENCHMARK_CAPTURE(probe_page, misses, "nobody")->Arg(1'000'000)->Arg(10'000'000);

// The whole goal: each key is mapped from a row, and fingerprinted and looked up from a page.
void map_and_probe(benchmark::State& state) {
  const auto references = static_cast<std::uint64_t>(state.range(0));
  ReferenceSnapshot& snapshot = snapshot_of(references);
  const auto pages = pages_of(references, "session");
  const MappingRules rules = rules_of(KeyForm::automatic);
  Mapped mapped;
  std::vector<std::string_view> keys;
  std::vector<std::uint8_t> hits(kPage);
  std::size_t next = 0;
  for (auto _ : state) {
    const ObjectPage& page = pages[next++ % pages.size()];
    keys.clear();
    for (std::size_t i = 0; i < page.size(); ++i) {
      keys.push_back(page[i].key);
      map_reference(rules, {keys.back(), std::nullopt}, mapped);
      benchmark::DoNotOptimize(snapshot.fingerprinter()(mapped.primary));
    }
    snapshot.probe(keys, hits);
    benchmark::DoNotOptimize(hits.data());
  }
  per_key(state);
}
BENCHMARK(map_and_probe)->Arg(1'000'000)->Arg(10'000'000);

// Generating, mapping, fingerprinting, sorting, writing, verifying and indexing.
void build_snapshot(benchmark::State& state) {
  const auto references = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(make_snapshot(references).references());
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(build_snapshot)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

// A source that only makes its rows: what build_snapshot would take if everything else were free.
void generate_rows(benchmark::State& state) {
  struct : RowSink {
    Result<void> add(std::span<const ReferenceRow>) override { return {}; }
  } nowhere;
  GeneratedSource source(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) value_of(source.read(nowhere, {}));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(generate_rows)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

constexpr std::size_t kRecords = 100'000;

void write_records_to(const std::filesystem::path& path) {
  const auto pages = pages_of(kRecords, "session");
  RecordWriter writer = value_of(RecordWriter::create(path, "bench", 1));
  std::string record;
  for (std::size_t i = 0; i < kRecords; ++i) {
    record.clear();
    append_object(record, pages[i / kPage][i % kPage]);
    if (!writer.add(record)) std::abort();
  }
  value_of(writer.seal(RecordWriter::Durability::scratch));
}

void write_records(benchmark::State& state) {
  const auto path = scratch_path("records");
  for (auto _ : state) write_records_to(path);
  unlink(path.c_str());
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kRecords));
}
BENCHMARK(write_records)->Unit(benchmark::kMillisecond);

void read_records(benchmark::State& state) {
  const auto path = scratch_path("records");
  write_records_to(path);
  for (auto _ : state) {
    RecordReader reader = value_of(RecordReader::open(path, "bench", 1));
    while (const auto record = value_of(reader.next())) {
      RecordDecoder in(*record);
      benchmark::DoNotOptimize(decode_object(in));
    }
  }
  unlink(path.c_str());
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kRecords));
}
BENCHMARK(read_records)->Unit(benchmark::kMillisecond);

void match_glob(benchmark::State& state, const char* pattern) {
  const Glob glob(pattern);
  const auto keys = values_with("", "");
  for (auto _ : state) {
    for (const std::string& key : keys) benchmark::DoNotOptimize(glob.matches(key));
  }
  per_key(state);
}
BENCHMARK_CAPTURE(match_glob, folder, "keep/**");
BENCHMARK_CAPTURE(match_glob, extension, "**/*.json");
BENCHMARK_CAPTURE(match_glob, set, "session-[0-9]*/recording-*.np?");

}  // namespace

}  // namespace heimdall
