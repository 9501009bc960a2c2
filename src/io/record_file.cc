#include "io/record_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/format.h"
#include "base/text.h"
#include "io/codec.h"
#include "io/file.h"

namespace heimdall {

namespace {

constexpr std::string_view kMagic = "HMDL";
constexpr std::size_t kKindSize = 8;
constexpr std::size_t kHeaderSize = 4 + kKindSize + 4;
constexpr std::size_t kBufferSize = 1 << 18;
constexpr std::uint64_t kMaxRecord = 1 << 26;  // nothing we write comes near; a larger length is damage

std::string header(std::string_view kind, std::uint32_t version) {
  std::string text(kMagic);
  text += kind.substr(0, kKindSize);
  text.resize(4 + kKindSize, '\0');
  for (unsigned i = 0; i < 4; ++i) text += static_cast<char>((version >> (8U * i)) & 255U);
  return text;
}

}  // namespace

Result<RecordWriter> RecordWriter::create(std::filesystem::path path, std::string_view kind, std::uint32_t version) {
  std::filesystem::path temporary = path;
  temporary += format(".tmp-{}", getpid());
  TRY_ASSIGN(UniqueFd fd, open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, "file"));
  RecordWriter writer(std::move(path), std::move(temporary), std::move(fd));
  writer.buffer_ = header(kind, version);
  return writer;
}

RecordWriter::RecordWriter(std::filesystem::path path, std::filesystem::path temporary, UniqueFd fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}

RecordWriter::RecordWriter(RecordWriter&& other) noexcept
    : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, {})), fd_(std::move(other.fd_)),
      buffer_(std::move(other.buffer_)), hash_(std::move(other.hash_)), count_(other.count_) {}

RecordWriter::~RecordWriter() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

Result<void> RecordWriter::add(std::string_view record) {
  append_varint(buffer_, record.size());
  buffer_ += record;
  ++count_;
  if (buffer_.size() >= kBufferSize) return flush();
  return {};
}

Result<void> RecordWriter::flush() {
  hash_.update(buffer_);
  TRY(write_all(fd_.get(), buffer_, format("file '{}'", path_.string())));
  buffer_.clear();
  return {};
}

Result<std::string> RecordWriter::seal(Durability durability) {
  buffer_ += '\0';
  for (unsigned i = 0; i < 8; ++i) buffer_ += static_cast<char>((count_ >> (8U * i)) & 255U);
  TRY(flush());
  const Sha256Digest digest = hash_.finish();
  const std::string_view bytes(reinterpret_cast<const char*>(digest.data()), digest.size());
  TRY(write_all(fd_.get(), bytes, format("file '{}'", path_.string())));
  const bool durable = durability == Durability::durable;
  if (durable && fsync(fd_.get()) != 0) return system_error(errno, format("cannot sync '{}'", path_.string()));
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    return system_error(errno, format("cannot rename '{}' to '{}'", temporary_.string(), path_.string()));
  }
  temporary_.clear();
  const std::filesystem::path directory = path_.parent_path();
  if (durable) TRY(sync_directory(directory.empty() ? "." : directory));
  return to_hex(digest);
}

Result<RecordReader> RecordReader::open(const std::filesystem::path& path, std::string_view kind, std::uint32_t version) {
  TRY_ASSIGN(UniqueFd fd, open_file(path, O_RDONLY, "file"));
  RecordReader reader(std::move(fd), path.string(), header(kind, version));
  TRY_ASSIGN(reader.opened_, reader.state());
  TRY(reader.fill(kHeaderSize));
  const std::string_view found = std::string_view(reader.buffer_).substr(0, kHeaderSize);
  if (found.substr(0, 4 + kKindSize) != std::string_view(reader.header_).substr(0, 4 + kKindSize)) {
    return reader.damaged(format("it is no {} file", kind));
  }
  if (found != reader.header_) return reader.damaged(format("its version is not {}, the one this program reads", version));
  TRY(reader.take_header());
  return reader;
}

Result<RecordReader::State> RecordReader::state() const {
  struct stat info {};
  if (fstat(fd_.get(), &info) != 0) return system_error(errno, format("cannot look at '{}'", name_));
  return State{info.st_size, info.st_mtim};
}

Result<void> RecordReader::take_header() {
  TRY_ASSIGN(const std::string_view found, take(kHeaderSize));
  if (found != header_) return damaged("its head is another one than before");
  hash_.update(found);
  return {};
}

Result<void> RecordReader::read_again() {
  if (lseek(fd_.get(), 0, SEEK_SET) != 0) return system_error(errno, format("cannot read '{}' again", name_));
  is_proved_ = true;
  buffer_.clear();
  position_ = 0;
  hash_ = Sha256();
  count_ = 0;
  digest_.clear();
  return take_header();
}

Error RecordReader::damaged(std::string_view how) const {
  return Error{ErrorCode::corrupt, format("'{}' is damaged: {}", name_, how)};
}

// Makes at least `wanted` bytes available behind position_, if the file has them.
Result<void> RecordReader::fill(std::size_t wanted) {
  if (buffer_.size() - position_ >= wanted) return {};
  buffer_.erase(0, position_);
  position_ = 0;
  const std::size_t target = std::max(wanted, kBufferSize);
  while (buffer_.size() < wanted) {
    const std::size_t old_size = buffer_.size();
    buffer_.resize(target);
    const ssize_t count = ::read(fd_.get(), buffer_.data() + old_size, target - old_size);
    buffer_.resize(old_size + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(errno, format("cannot read '{}'", name_));
    if (count == 0) return damaged("it ends too early (was it cut?)");
  }
  if (!is_proved_) return {};
  // Looked at after the bytes were read: so they are those of the proof.
  TRY_ASSIGN(const State now, state());
  const bool is_same = now.size == opened_.size && now.changed.tv_sec == opened_.changed.tv_sec && now.changed.tv_nsec == opened_.changed.tv_nsec;
  if (!is_same) return damaged("it was written to while it was read");
  return {};
}

Result<std::string_view> RecordReader::take(std::size_t count) {
  TRY(fill(count));
  const std::string_view bytes = std::string_view(buffer_).substr(position_, count);
  position_ += count;
  return bytes;
}

Result<std::optional<std::string_view>> RecordReader::next() {
  if (!digest_.empty()) return std::optional<std::string_view>();
  std::uint64_t length = 0;
  for (unsigned shift = 0;; shift += 7) {
    TRY_ASSIGN(const std::string_view byte, take(1));
    hash_.update(byte);
    const auto value = static_cast<unsigned char>(byte.front());
    if (shift > 28) return damaged("a record has an impossible length");
    length |= static_cast<std::uint64_t>(value & 127U) << shift;
    if ((value & 128U) == 0) break;
  }
  if (length > kMaxRecord) return damaged("a record has an impossible length");
  if (length > 0) {
    TRY_ASSIGN(const std::string_view record, take(length));
    hash_.update(record);
    ++count_;
    return std::optional(record);
  }
  TRY_ASSIGN(const std::string_view count_bytes, take(8));
  hash_.update(count_bytes);
  std::uint64_t count = 0;
  for (unsigned i = 0; i < 8; ++i) {
    count |= static_cast<std::uint64_t>(static_cast<unsigned char>(count_bytes[i])) << (8U * i);
  }
  if (count != count_) return damaged("its number of records is wrong");
  TRY_ASSIGN(const std::string_view stored, take(32));
  const Sha256Digest digest = hash_.finish();
  if (stored != std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size())) {
    return damaged("its checksum does not match (was it altered?)");
  }
  char more = 0;
  if (position_ != buffer_.size() || ::read(fd_.get(), &more, 1) != 0) return damaged("something was appended to it");
  digest_ = to_hex(digest);
  return std::optional<std::string_view>();
}

Result<bool> has_record_kind(const std::filesystem::path& path, std::string_view kind) {
  TRY_ASSIGN(const UniqueFd fd, open_file(path, O_RDONLY, "file"));
  std::string found(4 + kKindSize, '\0');
  TRY_ASSIGN(const std::size_t size, read_at(fd.get(), found.data(), found.size(), 0, format("file '{}'", path.string())));
  return size == found.size() && found == std::string_view(header(kind, 0)).substr(0, found.size());
}

Result<void> prove(RecordReader& reader) {
  for (;;) {
    TRY_ASSIGN(const auto record, reader.next());
    if (!record) return {};
  }
}

}  // namespace heimdall
