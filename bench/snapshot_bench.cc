// References in large numbers: reading, sorting, probing.
//
//   snapshot_bench keys COUNT [FOLDER]                  COUNT keys of about 60 bytes to standard output, a line each, in no order
//   snapshot_bench take key|auto [BUDGET-BYTES]         a whole snapshot of the list on standard input, and its peak memory
//   snapshot_bench sort COUNT THREADS                   the sort alone
//   snapshot_bench probe REFERENCES                     probes, beside a loop that only hashes and reads as many random cache lines
//
// Example: snapshot_bench keys 100000000 | snapshot_bench take key

#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "base/clock.h"
#include "base/format.h"
#include "io/growing_array.h"
#include "io/radix_sort.h"
#include "model/fingerprint.h"
#include "pipeline/references/snapshot.h"
#include "refs/list_source.h"
#include "value_of.h"

namespace heimdall {

namespace {

using bench::kPage, bench::kSalt, bench::value_of;

class StopWatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }
  // Of all threads: does not grow while other programs have the processor.
  double cpu_seconds() const { return cpu_now() - cpu_begin_; }

 private:
  static double cpu_now() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
  }
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  double cpu_begin_ = cpu_now();
};

std::uint64_t mixed(std::uint64_t n) {  // splitmix64
  n += 0x9e3779b97f4a7c15;
  n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
  n = (n ^ (n >> 27)) * 0x94d049bb133111eb;
  return n ^ (n >> 31);
}

void hex_into(std::uint64_t value, char* end, std::size_t digits) {
  for (std::size_t i = 0; i < digits; ++i, value >>= 4) *--end = "0123456789abcdef"[value & 15];
}

// Key `n` of about 60 bytes; quick, since it is measured along with what reads it.
void key_into(std::uint64_t n, std::string_view folder, std::string& out) {
  const std::uint64_t mix = mixed(n);
  out.assign(folder);
  out += "/session-0000/recording-0000000000000000-00000000.npy";
  char* const end = out.data() + out.size();
  hex_into(mix >> 48, end - 40, 4);
  hex_into(mix, end - 13, 16);
  hex_into(n, end - 4, 8);
}

int print_keys(std::uint64_t count, std::string_view folder) {
  std::string key;
  std::string lines;
  for (std::uint64_t n = 0; n < count; ++n) {
    key_into(n, folder, key);
    lines += key;
    lines += '\n';
    if (lines.size() < 60'000 && n + 1 < count) continue;
    if (std::fwrite(lines.data(), 1, lines.size(), stdout) != lines.size()) return 1;
    lines.clear();
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}

std::filesystem::path scratch_path() {
  return std::filesystem::temp_directory_path() / format("heimdall-bench-{}-snapshot", getpid());
}

ReferenceSnapshot snapshot_of(ReferenceSource& source, KeyForm as, const SnapshotOptions& options = {}) {
  SourcePolicy policy;
  policy.name = "list";
  policy.mapping.as = as;
  policy.mapping.bucket = "recordings";
  policy.mapping.other_buckets = {"thumbnails", "exports"};
  const SourceBinding binding{&source, &policy};
  const std::string everything;
  NoProgress progress;
  return value_of(take_snapshot({&binding, 1}, {&everything, 1}, scratch_path(), kSalt, progress, {}, options));
}

double peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
}

int take(KeyForm as, const SnapshotOptions& options) {
  SystemClock clock;
  ListSourceOptions list;
  list.path = "-";
  ListSource source(list, clock);
  const StopWatch watch;
  const double before = peak_megabytes();
  const ReferenceSnapshot snapshot = snapshot_of(source, as, options);
  const double seconds = watch.seconds();
  const double cpu = watch.cpu_seconds();
  const auto rows = static_cast<double>(snapshot.sources()[0].rows);
  fmt::print("{} rows, {} references in {:.2f} s: {:.1f} ns a row, {:.1f} ns of processor; peak {:.1f} MB ({:.1f} at the start), {:.2f} bytes a reference\n",
             snapshot.sources()[0].rows, snapshot.references(), seconds, seconds / rows * 1e9, cpu / rows * 1e9, peak_megabytes(), before,
             (peak_megabytes() - before) * 1e6 / static_cast<double>(snapshot.references()));
  return 0;
}

int sort(std::uint64_t count, unsigned threads) {
  GrowingArray<std::uint64_t> numbers;
  for (std::uint64_t n = 0; n < count; ++n) numbers.push(mixed(n));
  const StopWatch watch;
  radix_sort(numbers.values(), threads);
  const double seconds = watch.seconds();
  const double cpu = watch.cpu_seconds();
  const bool sorted = std::is_sorted(numbers.values().begin(), numbers.values().end());
  fmt::print("{} numbers, {} threads: {:.1f} M/s, {:.1f} ns of processor each\n", count, threads, static_cast<double>(count) / seconds / 1e6,
             cpu / static_cast<double>(count) * 1e9);
  return sorted ? 0 : 1;
}

class GeneratedSource final : public ReferenceSource {
 public:
  explicit GeneratedSource(std::uint64_t count) : count_(count) {}
  Result<SourceIdentity> identity() override { return SourceIdentity{"generated", "", 0}; }
  Result<ReadSummary> read(RowSink& sink, std::stop_token) override {
    std::string key;
    for (std::uint64_t n = 0; n < count_; ++n) {
      key_into(n, "live", key);
      const ReferenceRow row{key, std::nullopt};
      TRY(sink.add({&row, 1}));
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
  std::uint64_t count_;
};

constexpr std::size_t kPages = 500;
constexpr std::size_t kRounds = 9;

// Pages of keys anywhere in the snapshot, or beside it.
std::vector<std::vector<std::string>> pages_of(std::uint64_t references, std::string_view folder) {
  std::vector<std::vector<std::string>> pages(kPages, std::vector<std::string>(kPage));
  std::uint64_t n = 0;
  for (auto& page : pages) {
    for (std::string& key : page) key_into(mixed(n++) % references, folder, key);
  }
  return pages;
}

// The least nanoseconds per key: what disturbs others makes it longer, never shorter.
template <class Visit>
double fastest_ns(const std::vector<std::vector<std::string>>& pages, Visit visit) {
  double best = 1e9;
  std::vector<std::string_view> keys(kPage);
  for (std::size_t round = 0; round < kRounds; ++round) {
    const StopWatch watch;
    for (const auto& page : pages) {
      std::copy(page.begin(), page.end(), keys.begin());
      visit(keys);
    }
    best = std::min(best, watch.cpu_seconds() * 1e9 / static_cast<double>(kPages * kPage));
  }
  return best;
}

// Memory of the sizes that a snapshot has, read as a probe must at the least: the hash, and a random line of each, prefetched in batches.
class BareMemory {
 public:
  enum class Huge { no, yes };
  BareMemory(std::uint64_t references, Huge huge) : references_(references) {
    entries_ = allocate(references, huge);
    starts_ = allocate(references / 32 + 1, huge);
    marks_ = allocate(references / 64 + 1, huge);
  }

  std::uint64_t read(std::span<const std::string_view> keys, bool with_marks) const {
    constexpr std::size_t kBatch = 64;
    std::array<std::uint64_t, kBatch> at;
    std::uint64_t sum = 0;
    for (std::size_t done = 0; done < keys.size(); done += kBatch) {
      const std::size_t count = std::min(kBatch, keys.size() - done);
      for (std::size_t i = 0; i < count; ++i) {
        at[i] = (fingerprinter_(keys[done + i]) >> 32) * references_ >> 32;
        __builtin_prefetch(starts_ + at[i] / 32);
      }
      for (std::size_t i = 0; i < count; ++i) {
        at[i] += starts_[at[i] / 32];
        __builtin_prefetch(entries_ + at[i]);
      }
      for (std::size_t i = 0; i < count; ++i) {
        at[i] += entries_[at[i]];
        if (with_marks) __builtin_prefetch(marks_ + at[i] / 64);
      }
      for (std::size_t i = 0; i < count; ++i) sum += with_marks ? marks_[at[i] / 64] : at[i];
    }
    return sum;
  }

 private:
  static const std::uint64_t* allocate(std::uint64_t count, Huge huge) {
    void* data = mmap(nullptr, count * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) std::abort();
    madvise(data, count * 8, huge == Huge::yes ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    auto* numbers = static_cast<volatile std::uint64_t*>(data);
    for (std::uint64_t i = 0; i < count; i += 512) numbers[i] = 0;  // the memory is there before it is measured
    return static_cast<const std::uint64_t*>(data);
  }
  std::uint64_t references_;
  Fingerprinter fingerprinter_{kSalt};
  const std::uint64_t* entries_;
  const std::uint64_t* starts_;
  const std::uint64_t* marks_;
};

int probe(std::uint64_t references) {
  GeneratedSource source(references);
  ReferenceSnapshot snapshot = snapshot_of(source, KeyForm::key);
  const auto hits = pages_of(references, "live");
  const auto misses = pages_of(references, "none");
  std::vector<std::uint8_t> found(kPage);
  std::uint64_t sum = 0;
  const auto probed = [&](std::span<const std::string_view> keys) {
    snapshot.probe(keys, found);
    sum += found[0];
  };
  const double hit = fastest_ns(hits, probed);
  const double miss = fastest_ns(misses, probed);
  const BareMemory bare(references, BareMemory::Huge::no);
  const double bare_hit = fastest_ns(hits, [&](std::span<const std::string_view> keys) { sum += bare.read(keys, true); });
  const double bare_miss = fastest_ns(misses, [&](std::span<const std::string_view> keys) { sum += bare.read(keys, false); });
  const BareMemory huge(references, BareMemory::Huge::yes);
  const double huge_hit = fastest_ns(hits, [&](std::span<const std::string_view> keys) { sum += huge.read(keys, true); });
  fmt::print("{} references: hit {:.1f} ns, bare {:.1f} ({:.2f}), bare in huge pages {:.1f}; miss {:.1f} ns, bare {:.1f} ({:.2f})\n",
             references, hit, bare_hit, hit / bare_hit, huge_hit, miss, bare_miss, miss / bare_miss);
  return sum == 1 ? 1 : 0;
}

int usage() {
  std::fputs("usage: snapshot_bench keys COUNT [FOLDER] | take key|auto [BUDGET-BYTES] | sort COUNT THREADS | probe REFERENCES\n", stderr);
  return 2;
}

int run(std::span<const std::string_view> arguments) {
  const auto number = [&](std::size_t at) {
    std::uint64_t value = 0;
    std::from_chars(arguments[at].data(), arguments[at].data() + arguments[at].size(), value);
    return value;
  };
  if (arguments.size() < 2) return usage();
  const std::string_view mode = arguments[0];
  if (mode == "keys") return print_keys(number(1), arguments.size() > 2 ? arguments[2] : "live");
  if (mode == "probe") return probe(number(1));
  if (mode == "sort" && arguments.size() == 3) return sort(number(1), static_cast<unsigned>(number(2)));
  if (mode != "take") return usage();
  SnapshotOptions options;
  if (arguments.size() > 2) options.memory_budget_bytes = number(2);
  return take(arguments[1] == "key" ? KeyForm::key : KeyForm::automatic, options);
}

}  // namespace

}  // namespace heimdall

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  return heimdall::run(arguments);
}
