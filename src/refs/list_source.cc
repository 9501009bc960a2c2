#include "refs/list_source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "base/format.h"
#include "base/text.h"
#include "io/file.h"

namespace heimdall {

namespace {

constexpr std::size_t kBufferSize = 256 * 1024;  // stays in the second-level cache from read(2) to the fingerprint
constexpr int kPipeSize = 1 << 20;               // what Linux allows to everybody

bool is_unchanged(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size && to_timestamp(a.st_mtim) == to_timestamp(b.st_mtim) &&
         to_timestamp(a.st_ctim) == to_timestamp(b.st_ctim);
}

// A byte order mark would become part of the first key, and of UTF-16 nothing would match.
bool has_byte_order_mark(std::string_view start) {
  return start.starts_with("\xEF\xBB\xBF") || start.starts_with("\xFF\xFE") || start.starts_with("\xFE\xFF");
}

// Reads lines and hands them over where they lie in its buffer. Bytes behind the last separator move to the front and wait for the next piece.
class LineReader {
 public:
  LineReader(int fd, char separator, RowSink& sink) : fd_(fd), separator_(separator), sink_(sink), buffer_(kBufferSize) {
    rows_.reserve(kMaxRows);
  }

  enum class Status { more, end };
  // Waits for the next piece of the list and cuts it. An errno if it cannot be read, or the sink's error.
  Result<Status> read_on(std::string_view what) {
    if (open_ == buffer_.size()) buffer_.resize(2 * buffer_.size());
    const ssize_t count = ::read(fd_, buffer_.data() + open_, buffer_.size() - open_);
    if (count < 0 && errno == EINTR) return Status::more;
    if (count < 0) return system_error(errno, format("cannot read the {}", what));
    if (count == 0) return Status::end;
    if (start_.size() < 3) start_.append(buffer_.data() + open_, std::min<std::size_t>(static_cast<std::size_t>(count), 3 - start_.size()));
    if (has_byte_order_mark(start_)) {
      return Error{ErrorCode::corrupt, format("the {} begins with a byte order mark, which would become part of a key", what),
                   "save it as plain UTF-8 without a byte order mark"};
    }
    bytes_ += static_cast<std::uint64_t>(count);
    TRY(cut(static_cast<std::size_t>(count)));
    return Status::more;
  }

  std::uint64_t lines() const { return lines_; }
  std::uint64_t bytes() const { return bytes_; }
  // What stands behind the last separator.
  std::string_view open_line() const { return {buffer_.data(), open_}; }

 private:
  static constexpr std::size_t kMaxRows = 1024;

  Result<void> cut(std::size_t count) {
    const char* line = buffer_.data();
    const char* from = line + open_;  // no separator before it
    const char* const end = from + count;
    while (from < end) {
      const auto* stop = static_cast<const char*>(std::memchr(from, separator_, static_cast<std::size_t>(end - from)));
      if (stop == nullptr) break;
      rows_.push_back({{line, static_cast<std::size_t>(stop - line)}, std::nullopt});
      if (rows_.size() == kMaxRows) TRY(hand_over());
      line = from = stop + 1;
    }
    TRY(hand_over());
    open_ = static_cast<std::size_t>(end - line);
    std::memmove(buffer_.data(), line, open_);
    return {};
  }

  Result<void> hand_over() {
    if (rows_.empty()) return {};
    lines_ += rows_.size();
    TRY(sink_.add(rows_));
    rows_.clear();
    return {};
  }

  int fd_;
  char separator_;
  RowSink& sink_;
  std::vector<char> buffer_;
  std::size_t open_ = 0;  // bytes of an unfinished line at the front of the buffer
  std::vector<ReferenceRow> rows_;
  std::uint64_t lines_ = 0;
  std::uint64_t bytes_ = 0;
  std::string start_;  // the first three bytes, however a pipe may hand them over
};

}  // namespace

std::string ListSource::name() const { return is_input() ? "standard input" : format("list '{}'", options_.path.string()); }

// Without O_NONBLOCK the open of a named pipe waits for its writer, as a shell's does.
Result<UniqueFd> ListSource::open() const {
  auto fd = open_file(options_.path, O_RDONLY | O_NOCTTY, "list");
  if (fd) return fd;
  Error error = std::move(fd).error();
  if (error.code == ErrorCode::not_found) error.hint = "check the `list:` of this reference; a list that may be empty must still exist";
  return error;
}

bool ListSource::can_read_again() const {
  if (is_input()) return false;
  struct stat info {};
  return stat(options_.path.c_str(), &info) != 0 || S_ISREG(info.st_mode);
}

Result<SourceIdentity> ListSource::identity() {
  if (is_input()) {
    if (fcntl(options_.input, F_GETFD) < 0) return system_error(errno, "cannot read standard input");
    return SourceIdentity{"list:-", "", 0};
  }
  struct stat info {};
  if (stat(options_.path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    return Error{ErrorCode::invalid_argument, format("the {} is a directory", name()), "a list is a file with one key per line"};
  }
  if (stat(options_.path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return SourceIdentity{"list:" + options_.path.string(), "", 0};  // a pipe has no other name, and opening it would wait
  }
  TRY(open());
  std::error_code failed;
  const auto real = std::filesystem::canonical(options_.path, failed);
  if (failed) return system_error(failed.value(), format("cannot find the {}", name()));
  return SourceIdentity{"list:" + real.string(), "", 0};
}

Error ListSource::changed() const {
  return {ErrorCode::corrupt, format("the {} changed while it was read", name()),
          "write the list under another name and rename it when it is complete; then run the command again"};
}

Result<std::uint64_t> ListSource::read_rows(int fd, RowSink& sink, const std::stop_token& stop) const {
  fcntl(fd, F_SETPIPE_SZ, kPipeSize);  // fewer turns between writer and reader; fails for what is no pipe, or not allowed
  LineReader reader(fd, options_.separator == ListSeparator::nul ? '\0' : '\n', sink);
  const std::string what = name();
  struct stat info {};
  if (fstat(fd, &info) != 0) return system_error(errno, format("cannot read the {}", what));
  // What a file has behind where we begin; a pipe has no size. One that grows is not read for ever, and one that ends early is no whole list.
  const off_t begin = S_ISREG(info.st_mode) ? lseek(fd, 0, SEEK_CUR) : 0;
  const std::uint64_t size = S_ISREG(info.st_mode) && info.st_size > begin ? static_cast<std::uint64_t>(info.st_size - begin) : 0;
  for (auto status = LineReader::Status::more; status == LineReader::Status::more;) {
    if (stop.stop_requested()) return Error{ErrorCode::cancelled, format("reading the {} was stopped", what)};
    TRY_ASSIGN(status, reader.read_on(what));
    if (S_ISREG(info.st_mode) && reader.bytes() > size) return changed();
  }
  if (!reader.open_line().empty()) {
    return Error{ErrorCode::corrupt,
                 format("the {} was cut: line {} (\"{}\") has no end", what, with_thousands(reader.lines() + 1),
                        elide_middle(printable(reader.open_line().substr(0, 200)), 60)),
                 options_.separator == ListSeparator::nul ? "end each key with a NUL byte, or take `null: true` away"
                                                          : "make it again; end the last line with a line feed"};
  }
  if (S_ISREG(info.st_mode) && reader.bytes() != size) return changed();
  return reader.lines();
}

Result<ReadSummary> ListSource::read(RowSink& sink, std::stop_token stop) {
  const Timestamp began = clock_.now();
  ReadSummary summary;
  TRY_ASSIGN(summary.identity, identity());
  const bool once = !can_read_again();
  if (once && was_read_) {
    return Error{ErrorCode::failed_precondition, format("the {} can be read only once", name()), "put the list into a file"};
  }
  UniqueFd file;
  if (!is_input()) {
    TRY_ASSIGN(file, open());
  }
  const int fd = file ? file.get() : options_.input;
  struct stat before {};
  if (fstat(fd, &before) != 0) return system_error(errno, format("cannot read the {}", name()));
  was_read_ = true;
  TRY_ASSIGN(summary.rows, read_rows(fd, sink, stop));

  summary.as_of = options_.taken_at.value_or(S_ISREG(before.st_mode) ? to_timestamp(before.st_mtim) : began);
  summary.as_of = std::min(*summary.as_of, began);
  if (!S_ISREG(before.st_mode)) return summary;
  // A list that grows or is replaced meanwhile is two halves of two lists. Standard input has no name.
  struct stat after {};
  struct stat by_name = before;
  if (fstat(fd, &after) != 0 || (!is_input() && stat(options_.path.c_str(), &by_name) != 0) || !is_unchanged(before, after) ||
      !is_unchanged(before, by_name)) {
    return changed();
  }
  return summary;
}

Result<ReadSummary> ListSource::lookup(std::span<const std::string>, RowSink&, std::stop_token) {
  return Error{ErrorCode::failed_precondition, format("single keys cannot be looked up in the {}", name()), "read it as a whole"};
}

Result<void> ListSource::wait_for_writers(const WriterMark&, std::chrono::milliseconds, std::stop_token) { return {}; }

}  // namespace heimdall
