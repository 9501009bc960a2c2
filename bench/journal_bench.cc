// What the journal costs a sweep: intents and outcomes of batches of 1000 keys, each batch durable before its request would leave.

#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/format.h"
#include "state/state_database.h"

namespace heimdall {
namespace {

constexpr std::size_t kBatch = 1000;

std::vector<ObjectMeta> batch_of(std::size_t number) {
  std::vector<ObjectMeta> batch;
  for (std::size_t i = 0; i < kBatch; ++i) {
    batch.push_back({ObjectKey(format("sessions/2026/11/23/{:08}/measurement-{:04}.npy", number, i)), 65'536,
                     Timestamp(std::chrono::seconds(1'700'000'000)), "d41d8cd98f00b204e9800998ecf8427e", ""});
  }
  return batch;
}

// Directories under $TMPDIR, which should lie on the disk that is meant.
void write_batches(benchmark::State& state) {
  const auto workers = static_cast<std::size_t>(state.range(0));
  std::string name = (std::filesystem::temp_directory_path() / "journal-bench-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) return state.SkipWithError("no directory");
  SystemClock clock;
  auto directory = StateDirectory::open(name);
  auto opened = StateDatabase::open(*directory, clock);
  if (!opened) return state.SkipWithError(opened.error().message.c_str());
  StateDatabase& database = *opened->database;
  std::atomic<std::size_t> next{0};
  constexpr std::size_t kBatchesPerWorker = 10;
  for (auto _ : state) {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < workers; ++t) {
      threads.emplace_back([&] {
        for (std::size_t i = 0; i < kBatchesPerWorker; ++i) {
          const auto batch = batch_of(next++);
          std::vector<Deletion> outcomes;
          for (const ObjectMeta& object : batch) outcomes.push_back({"raw", object, Outcome::deleted, ""});
          if (!database.intend("run", "raw", "id", batch) || !database.record("run", outcomes)) std::abort();
        }
      });
    }
    threads.clear();
    if (!database.flush()) std::abort();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(next.load() * kBatch));
  opened->database.reset();
  std::filesystem::remove_all(name);
}
BENCHMARK(write_batches)->Arg(1)->Arg(2)->Arg(8)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace heimdall
