#include "refs/list_source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>

#include "base/format.h"
#include "base/text.h"
#include "io/file.h"
#include "refs/row_batch.h"

namespace heimdall {

namespace {

constexpr std::size_t kBufferSize = 256 * 1024;

bool is_unchanged(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size && to_timestamp(a.st_mtim) == to_timestamp(b.st_mtim) &&
         to_timestamp(a.st_ctim) == to_timestamp(b.st_ctim);
}

// A byte order mark would become part of the first key, and of UTF-16 nothing would match.
bool has_byte_order_mark(std::string_view start) {
  return start.starts_with("\xEF\xBB\xBF") || start.starts_with("\xFF\xFE") || start.starts_with("\xFE\xFF");
}

// Cuts what it is given into rows. Bytes behind the last separator wait for the next piece.
class LineCutter {
 public:
  LineCutter(char separator, RowBatch& batch) : separator_(separator), batch_(batch) {}

  Result<void> add(std::string_view bytes) {
    for (;;) {
      const std::size_t end = bytes.find(separator_);
      if (end == std::string_view::npos) {
        open_ += bytes;
        return {};
      }
      if (open_.empty()) {
        TRY(batch_.add(bytes.substr(0, end)));
      } else {
        open_ += bytes.substr(0, end);
        TRY(batch_.add(open_));
        open_.clear();
      }
      bytes.remove_prefix(end + 1);
    }
  }

  const std::string& open_line() const { return open_; }

 private:
  char separator_;
  RowBatch& batch_;
  std::string open_;
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

Result<std::uint64_t> ListSource::read_rows(int fd, RowSink& sink, const std::stop_token& stop) const {
  RowBatch batch(sink);
  LineCutter cutter(options_.separator == ListSeparator::nul ? '\0' : '\n', batch);
  const auto buffer = std::make_unique<char[]>(kBufferSize);
  std::string start;  // the first three bytes, however a pipe may hand them over
  for (;;) {
    if (stop.stop_requested()) return Error{ErrorCode::cancelled, format("reading the {} was stopped", name())};
    const ssize_t count = ::read(fd, buffer.get(), kBufferSize);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(errno, format("cannot read the {}", name()));
    if (count == 0) break;
    const std::string_view bytes(buffer.get(), static_cast<std::size_t>(count));
    if (start.size() < 3) start += bytes.substr(0, 3 - start.size());
    if (has_byte_order_mark(start)) {
      return Error{ErrorCode::corrupt, format("the {} begins with a byte order mark, which would become part of a key", name()),
                   "save it as plain UTF-8 without a byte order mark"};
    }
    TRY(cutter.add(bytes));
  }
  if (!cutter.open_line().empty()) {
    return Error{ErrorCode::corrupt,
                 format("the {} was cut: line {} (\"{}\") has no end", name(), with_thousands(batch.rows() + 1),
                        elide_middle(printable(std::string_view(cutter.open_line()).substr(0, 200)), 60)),
                 options_.separator == ListSeparator::nul ? "end each key with a NUL byte, or take `null: true` away"
                                                          : "make it again; end the last line with a line feed"};
  }
  TRY(batch.flush());
  return batch.rows();
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

  summary.as_of = options_.taken_at.value_or(once ? began : to_timestamp(before.st_mtim));
  summary.as_of = std::min(*summary.as_of, began);
  if (once) return summary;
  // A list that grows or is replaced meanwhile is two halves of two lists.
  struct stat after {};
  struct stat by_name {};
  if (fstat(fd, &after) != 0 || stat(options_.path.c_str(), &by_name) != 0 || !is_unchanged(before, after) ||
      !is_unchanged(before, by_name)) {
    return Error{ErrorCode::corrupt, format("the {} changed while it was read", name()),
                 "write the list under another name and rename it when it is complete; then run the command again"};
  }
  return summary;
}

Result<ReadSummary> ListSource::lookup(std::span<const std::string>, RowSink&, std::stop_token) {
  return Error{ErrorCode::failed_precondition, format("single keys cannot be looked up in the {}", name()), "read it as a whole"};
}

Result<void> ListSource::wait_for_writers(const WriterMark&, std::chrono::milliseconds, std::stop_token) { return {}; }

}  // namespace heimdall
