#include "state/state_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <functional>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "base/format.h"
#include "io/sha256.h"

namespace heimdall {

namespace {

namespace fs = std::filesystem;

constexpr mode_t kPrivate = 0700;

// mkdir(2); true if it was missing.
Result<bool> make_directory(const fs::path& path) {
  if (mkdir(path.c_str(), kPrivate) == 0) return true;
  const int reason = errno;
  struct stat info {};
  if (reason == EEXIST && stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return false;
    return Error{ErrorCode::invalid_argument,
                 format("the state directory '{}' is not a directory: something else has that name", path.string()),
                 "give another path in `state: {path: ...}` or with --state"};
  }
  Error error = system_error(reason, format("cannot create the state directory '{}'", path.string()));
  if (error.code == ErrorCode::permission_denied) {
    error.hint = "create it and give it to the user that runs heimdall-storage, or name another one with --state";
  }
  // A file stands where one of the parent directories should be.
  if (reason == ENOTDIR || reason == EEXIST) error.code = ErrorCode::invalid_argument;
  return error;
}

Result<void> check_writable(const fs::path& path) {
  if (access(path.c_str(), R_OK | W_OK | X_OK) == 0) return {};
  Error error = system_error(errno, format("the state directory '{}' cannot be written to", path.string()));
  error.hint = "run as the user that owns it, change its owner, or name another one with --state";
  return error;
}

std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || value < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

// Takes the process off the front of a name that file_name_of() began.
std::optional<ProcessMark> take_mark(std::string_view& name) {
  constexpr std::size_t kBootIdSize = 36;
  const auto pid = take_number(name);
  if (!pid || !name.starts_with('-')) return std::nullopt;
  name.remove_prefix(1);
  const auto start = take_number(name);
  if (!start || !name.starts_with('-') || name.size() < kBootIdSize + 1) return std::nullopt;
  std::string boot_id(name.substr(1, kBootIdSize));
  if (boot_id.find_first_not_of('_') == std::string::npos) boot_id.clear();  // it was unknown
  name.remove_prefix(kBootIdSize + 1);
  return ProcessMark{*pid, *start, std::move(boot_id)};
}

// Best effort: a file that cannot be removed only takes space, and the next start tries again.
void for_each_name(const fs::path& directory, const std::function<void(const fs::path& path, std::string_view name)>& visit) {
  std::error_code ignored;
  for (fs::directory_iterator it(directory, ignored), end; !ignored && it != end; it.increment(ignored)) {
    visit(it->path(), it->path().filename().native());
  }
}

// "PID-START-BOOT-N-LABEL"; see scratch_file().
void remove_scratch_of_the_dead(const fs::path& tmp) {
  for_each_name(tmp, [&](const fs::path& path, std::string_view name) {
    const auto owner = take_mark(name);
    std::error_code unused;
    if (owner && name.starts_with('-') && !is_running(*owner, tmp)) fs::remove_all(path, unused);
  });
}

// "BUCKET.ledger.tmp-PID": the form of RecordWriter. The pid is all that is known of who writes it: nobody with that pid may be alive.
void remove_half_written_ledgers(const fs::path& ledgers, const fs::path& tmp) {
  std::vector<std::pair<fs::path, std::int64_t>> found;
  for_each_name(ledgers, [&](const fs::path& path, std::string_view name) {
    constexpr std::string_view kMark = ".tmp-";
    const std::size_t at = name.rfind(kMark);
    if (at == std::string_view::npos) return;
    name.remove_prefix(at + kMark.size());
    const auto pid = take_number(name);
    if (pid && name.empty()) found.emplace_back(path, *pid);
  });
  if (found.empty()) return;
  // After the files: who writes one has shown its sign before.
  std::set<std::int64_t> alive;
  for_each_name(tmp, [&](const fs::path&, std::string_view name) {
    const auto owner = take_mark(name);
    if (owner && name == SignOfLife::kSuffix && is_running(*owner, tmp)) alive.insert(owner->pid);
  });
  for (const auto& [path, pid] : found) {
    std::error_code unused;
    if (!alive.contains(pid) && !seems_running({pid, 0, ""})) fs::remove(path, unused);
  }
}

void remove_signs_of_the_dead(const fs::path& tmp) {
  for_each_name(tmp, [](const fs::path& path, std::string_view name) {
    if (take_mark(name) && name == SignOfLife::kSuffix) remove_if_ended(path);
  });
}

}  // namespace

std::string escaped_file_name(std::string_view name) {
  constexpr std::size_t kLongest = 180;  // leaves room for suffixes in the 255 bytes of a name
  std::string escaped;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                       (c == '.' && !escaped.empty());
    if (plain) {
      escaped += c;
    } else {
      escaped += format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  if (escaped.empty()) return "%";
  if (escaped.size() <= kLongest) return escaped;
  // "%%" is no escape, so that no short name looks like this.
  return escaped.substr(0, kLongest - 64) + "%%" + sha256_hex(name);
}

Result<StateDirectory> StateDirectory::open(fs::path path) {
  std::error_code failure;
  path = fs::absolute(path, failure).lexically_normal();
  if (failure) return system_error(failure.value(), "cannot find the current directory");
  if (!path.has_filename()) path = path.parent_path();  // "state/" is "state"
  if (struct stat info {}; stat(path.c_str(), &info) != 0 && errno == ENOENT) {
    fs::create_directories(path.parent_path(), failure);  // its failure shows in mkdir
  }
  TRY_ASSIGN(const bool created, make_directory(path));
  TRY(check_writable(path));
  for (const char* name : {"ledgers", "locks", "tmp"}) {
    TRY(make_directory(path / name));
    TRY(check_writable(path / name));
  }
  if (created) TRY(sync_directory(path.parent_path()));
  ProcessMark process = this_process();
  TRY_ASSIGN(SignOfLife sign, SignOfLife::show(path / "tmp", process));
  remove_scratch_of_the_dead(path / "tmp");
  remove_half_written_ledgers(path / "ledgers", path / "tmp");
  remove_signs_of_the_dead(path / "tmp");  // last: the two above ask them
  return StateDirectory(std::move(path), created, std::move(process), std::make_shared<const SignOfLife>(std::move(sign)));
}

StateDirectory::StateDirectory(fs::path root, bool created, ProcessMark process, std::shared_ptr<const SignOfLife> sign)
    : root_(std::move(root)), created_(created), process_(std::move(process)), sign_(std::move(sign)) {}

bool StateDirectory::is_running(const ProcessMark& process) const { return heimdall::is_running(process, root_ / "tmp"); }

fs::path StateDirectory::ledger(std::string_view bucket) const { return ledgers() / (escaped_file_name(bucket) + ".ledger"); }

fs::path StateDirectory::lock_file(std::string_view bucket) const {
  return root_ / "locks" / (escaped_file_name(bucket) + ".lock");
}

fs::path StateDirectory::scratch_file(std::string_view label) const {
  static std::atomic<std::uint64_t> counter{0};
  return root_ / "tmp" / format("{}-{}-{}", file_name_of(process_), counter.fetch_add(1), escaped_file_name(label));
}

Result<FileLock> StateDirectory::lock_at(const fs::path& path, std::string& holder) const {
  auto lock = FileLock::try_lock(path, FileLock::IfMissing::create);
  if (lock) {
    // Only for people: the kernel's lock is what counts, so failing to write the pid is no failure.
    if (auto fd = open_file(path, O_WRONLY | O_TRUNC, "lock")) {
      (void)write_all(fd->get(), format("{}\n", process_.pid), "lock");
    }
    return lock;
  }
  if (lock.error().code != ErrorCode::locked) return lock;
  if (const auto text = read_whole_file(path, "lock")) {
    std::string_view rest(*text);
    if (const auto pid = take_number(rest)) holder = format(" (pid {})", *pid);
  }
  return lock;
}

Result<FileLock> StateDirectory::lock_bucket(std::string_view bucket) const {
  std::string holder;
  auto lock = lock_at(lock_file(bucket), holder);
  if (lock) return lock;
  if (lock.error().code != ErrorCode::locked) return with_context(lock.error(), format("bucket '{}'", bucket));
  return Error{ErrorCode::locked, format("another heimdall-storage{} is sweeping bucket '{}'", holder, bucket),
               "wait until it has finished, or stop it; the lock ends with its process"};
}

// Beside locks/, where a bucket may have any name.
Result<FileLock> StateDirectory::lock_service() const {
  std::string holder;
  auto lock = lock_at(root_ / "service.lock", holder);
  if (lock || lock.error().code != ErrorCode::locked) return lock;
  return Error{ErrorCode::locked, format("another heimdall-storage serve{} uses the state directory '{}'", holder, root_.string()),
               "stop it, or give this one a state directory of its own; the lock ends with its process"};
}

Result<fs::path> StateDirectory::plans() const {
  fs::path path = root_ / "plans";
  TRY_ASSIGN(const bool created, make_directory(path));
  if (created) TRY(sync_directory(root_));
  return path;
}

std::uint64_t StateDirectory::remove_old_plans(Timestamp now) const {
  constexpr std::chrono::hours kKept{48};
  std::uint64_t removed = 0;
  std::error_code ignored;
  for (fs::directory_iterator it(root_ / "plans", ignored), end; !ignored && it != end; it.increment(ignored)) {
    struct stat info {};
    if (lstat(it->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode) || now - to_timestamp(info.st_mtim) <= kKept) continue;
    removed += unlink(it->path().c_str()) == 0 ? 1 : 0;
  }
  return removed;
}

}  // namespace heimdall
