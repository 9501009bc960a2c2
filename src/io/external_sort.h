#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/hashing.h"
#include "io/fd.h"
#include "io/growing_array.h"
#include "io/radix_sort.h"

namespace heimdall {

// Gathers records (std::uint64_t or U64Pair) in memory and gives them back in order, each once. Whoever is short of memory calls spill(): what
// was gathered goes to a scratch file as a sorted run, and drain() merges the runs. Not thread-safe. Move-only.
template <class Record>
class ExternalSorter {
 public:
  // `scratch` exists from the first spill on until the sorter is destroyed.
  ExternalSorter(std::filesystem::path scratch, unsigned threads) : scratch_(std::move(scratch)), threads_(threads) {}
  ExternalSorter(ExternalSorter&&) = delete;
  ~ExternalSorter();

  // Throws std::bad_alloc without memory.
  void push(const Record& record) { gathered_.push(record); }
  std::size_t memory_bytes() const { return gathered_.size() * sizeof(Record); }

  // Errors are those of writing; the sorter is of no use then.
  Result<void> spill();

  // Hands all records to `sink`, in order and each once, in pieces; returns how many. The memory of what was handed over is given back
  // meanwhile. An error of the sink ends it and is returned. corrupt if a run does not read back as it was written: the sink was
  // given a part then, which counts for nothing.
  using Sink = std::function<Result<void>(std::span<const Record>)>;
  Result<std::uint64_t> drain(const Sink& sink);

 private:
  struct Run {
    std::uint64_t offset;  // in bytes
    std::uint64_t count;
    ChecksumDigest digest;
  };
  class RunReader;

  void sort_gathered();
  Result<std::uint64_t> drain_gathered(const Sink& sink);
  Result<std::uint64_t> merge_runs(const Sink& sink);

  std::filesystem::path scratch_;
  unsigned threads_;
  GrowingArray<Record> gathered_;
  UniqueFd file_;
  std::uint64_t file_size_ = 0;
  std::vector<Run> runs_;
};

}  // namespace heimdall
