#include "io/external_sort.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/format.h"
#include "io/file.h"

namespace heimdall {

namespace {

constexpr std::size_t kPieceBytes = std::size_t{2} << 20;   // handed over at once; huge pages are given back whole
constexpr std::size_t kMergeBytes = std::size_t{16} << 20;  // buffers of all runs together
constexpr std::uint64_t kSliceRecords = 32 * 1024;          // merged at once: they stay in the cache

std::uint64_t key_of(std::uint64_t number) { return number; }
std::uint64_t key_of(const U64Pair& pair) { return pair.first; }

template <class Record>
std::string_view bytes_of(std::span<const Record> records) {
  return {reinterpret_cast<const char*>(records.data()), records.size_bytes()};
}

}  // namespace

// Reads one run from its front and proves at its end that it is the one that was written.
template <class Record>
class ExternalSorter<Record>::RunReader {
 public:
  RunReader(const ExternalSorter& sorter, const Run& run, std::size_t buffer_records)
      : sorter_(sorter), run_(run), offset_(run.offset), left_(run.count), buffer_(buffer_records) {}

  // Appends the records up to the key `last`.
  Result<void> take_up_to(std::uint64_t last, std::vector<Record>& out) {
    for (;;) {
      const std::size_t begin = at_;
      while (at_ < filled_ && key_of(buffer_[at_]) <= last) ++at_;
      out.insert(out.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin), buffer_.begin() + static_cast<std::ptrdiff_t>(at_));
      if (at_ < filled_ || left_ == 0) return {};
      TRY(fill());
    }
  }

 private:
  Result<void> fill() {
    filled_ = std::min<std::uint64_t>(left_, buffer_.size());
    at_ = 0;
    const std::span<Record> records(buffer_.data(), filled_);
    TRY_ASSIGN(const std::size_t count, read_at(sorter_.file_.get(), reinterpret_cast<char*>(records.data()), records.size_bytes(),
                                                offset_, "scratch file"));
    if (count != records.size_bytes()) return damaged("it was cut");
    checksum_.update(bytes_of(std::span<const Record>(records)));
    offset_ += count;
    left_ -= filled_;
    if (left_ == 0 && checksum_.digest() != run_.digest) return damaged("its checksum does not match");
    return {};
  }
  Error damaged(std::string_view how) const {
    return Error{ErrorCode::corrupt, format("the scratch file '{}' is damaged: {}", sorter_.scratch_.string(), how)};
  }

  const ExternalSorter& sorter_;
  const Run& run_;
  std::uint64_t offset_;
  std::uint64_t left_;
  std::vector<Record> buffer_;
  std::size_t filled_ = 0;
  std::size_t at_ = 0;
  Checksum checksum_;
};

template <class Record>
ExternalSorter<Record>::~ExternalSorter() {
  if (file_) unlink(scratch_.c_str());
}

template <class Record>
void ExternalSorter<Record>::sort_gathered() {
  const auto records = gathered_.values();
  radix_sort(records, threads_);
  gathered_.truncate(static_cast<std::size_t>(std::unique(records.begin(), records.end()) - records.begin()));
}

template <class Record>
Result<void> ExternalSorter<Record>::spill() {
  if (gathered_.size() == 0) return {};
  if (!file_) {
    TRY_ASSIGN(file_, open_file(scratch_, O_RDWR | O_CREAT | O_TRUNC, "scratch file"));
  }
  Run run{file_size_, 0, {}};
  Checksum checksum;
  TRY_ASSIGN(run.count, drain_gathered([&](std::span<const Record> records) -> Result<void> {
    checksum.update(bytes_of(records));
    file_size_ += records.size_bytes();
    return write_all(file_.get(), bytes_of(records), "scratch file");
  }));
  run.digest = checksum.digest();
  runs_.push_back(run);
  return {};
}

template <class Record>
Result<std::uint64_t> ExternalSorter<Record>::drain(const Sink& sink) {
  if (runs_.empty()) return drain_gathered(sink);
  TRY(spill());
  return merge_runs(sink);
}

template <class Record>
Result<std::uint64_t> ExternalSorter<Record>::drain_gathered(const Sink& sink) {
  sort_gathered();
  constexpr std::size_t kPiece = kPieceBytes / sizeof(Record);
  const std::span<const Record> records = gathered_.values();
  for (std::size_t done = 0; done < records.size();) {
    const auto piece = records.subspan(done, std::min(kPiece, records.size() - done));
    TRY(sink(piece));
    done += piece.size();
    gathered_.release_front(done);
  }
  const std::uint64_t count = records.size();
  gathered_.clear();
  return count;
}

// Keys are spread evenly, so a slice of the number line holds about as many records wherever it lies: each run gives its part of it, and the
// parts are sorted together. No comparing of heads, whatever the number of runs.
template <class Record>
Result<std::uint64_t> ExternalSorter<Record>::merge_runs(const Sink& sink) {
  const std::size_t buffer_records = std::max<std::size_t>(kMergeBytes / sizeof(Record) / runs_.size(), 256);
  std::vector<RunReader> readers;
  std::uint64_t records = 0;
  for (const Run& run : runs_) {
    readers.emplace_back(*this, run, std::min<std::size_t>(buffer_records, run.count));
    records += run.count;
  }
  const std::uint64_t slices = records / kSliceRecords + 1;
  const std::uint64_t width = ~std::uint64_t{0} / slices;
  std::uint64_t count = 0;
  std::vector<Record> slice;
  for (std::uint64_t i = 1; i <= slices; ++i) {
    slice.clear();
    const std::uint64_t last = i == slices ? ~std::uint64_t{0} : i * width;
    for (RunReader& reader : readers) TRY(reader.take_up_to(last, slice));
    radix_sort(std::span<Record>(slice));
    slice.erase(std::unique(slice.begin(), slice.end()), slice.end());
    TRY(sink(slice));
    count += slice.size();
  }
  return count;
}

template class ExternalSorter<std::uint64_t>;
template class ExternalSorter<U64Pair>;

}  // namespace heimdall
