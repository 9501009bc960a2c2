#include "store/fs/directory_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <mutex>
#include <utility>

#include "base/format.h"
#include "base/ids.h"
#include "base/text.h"
#include "io/file.h"
#include "store/fs/directory_reader.h"
#include "store/fs/trash.h"

namespace heimdall {

namespace {

class DirectoryHold final : public BucketHold {
 public:
  explicit DirectoryHold(FileLock lock) : lock_(std::move(lock)) {}

 private:
  FileLock lock_;
};

class DirectoryStore final : public ObjectStore {
 public:
  DirectoryStore(Tree tree, DirectoryOptions options, const Clock& clock)
      : reader_(std::move(tree), options.age, std::move(options.is_kept), clock) {}

  Result<std::string> identity() override { return reader_.identity(); }
  Result<Timestamp> server_time() override { return reader_.server_time(); }
  Result<std::vector<ListRange>> split(const ListRange& range, const SplitHints& hints) override { return reader_.split(range, hints); }
  ListingLimits listing_limits() override { return reader_.listing_limits(); }
  Result<std::unique_ptr<Listing>> list(const ListRange& range) override { return reader_.list(range); }
  Result<ObjectMeta> head(const ObjectKey& key) override { return reader_.head(key); }
  std::vector<Result<ObjectMeta>> inspect(std::span<const ObjectKey> keys) override { return reader_.inspect(keys); }

  Result<std::optional<StoreCapacity>> capacity() override { return reader_.capacity(); }

  std::size_t max_batch() const override { return kMaxBatch; }
  Result<std::vector<RemoveOutcome>> remove(std::span<const ObjectMeta> objects, const SendGate& gate) override;
  RemoveOutcome settle(const ObjectMeta& object) override;
  std::chrono::milliseconds settle_delay() const override { return std::chrono::milliseconds(0); }
  Result<DeleteFacts> try_deleting(TryBy how) override;
  Result<std::unique_ptr<BucketHold>> hold() override;

 private:
  static constexpr std::size_t kMaxBatch = 1000;

  DirectoryReader reader_;
  std::mutex trash_mutex_;  // one user of the trash at a time: the last one out removes it
};

Result<std::vector<RemoveOutcome>> DirectoryStore::remove(std::span<const ObjectMeta> objects, const SendGate& gate) {
  if (objects.size() > kMaxBatch) {
    return Error{ErrorCode::invalid_argument, format("{} are more than the {} of a batch", count_of(objects.size(), "object"), kMaxBatch)};
  }
  std::vector<RemoveOutcome> outcomes;
  if (objects.empty()) return outcomes;
  const std::scoped_lock lock(trash_mutex_);
  TRY(reader_.tree().confirm_root());
  TRY_ASSIGN(Trash trash, Trash::open(reader_.tree(), Trash::IfMissing::create));
  outcomes.reserve(objects.size());
  for (const ObjectMeta& object : objects) outcomes.push_back(trash.remove(object, reader_.age(), gate));
  return outcomes;
}

RemoveOutcome DirectoryStore::settle(const ObjectMeta& object) {
  using Kind = RemoveOutcome::Kind;
  const std::scoped_lock lock(trash_mutex_);
  if (const auto confirmed = reader_.tree().confirm_root(); !confirmed) return {Kind::in_doubt, confirmed.error().message};
  auto trash = Trash::open(reader_.tree(), Trash::IfMissing::fail);
  if (!trash) return {Kind::in_doubt, trash.error().message};
  if (trash->exists()) {
    if (auto outcome = trash->settle(object)) return *std::move(outcome);
  }
  const auto found = reader_.tree().find(object.key.bytes());
  if (!found) return {Kind::in_doubt, found.error().message};
  if (found->presence == Presence::absent) return {Kind::deleted, ""};
  if (found->presence == Presence::outside) return {Kind::changed, "it is behind a symbolic link or a mount now"};
  if (!is_file_of(object, found->state)) return {Kind::changed, "another file is there now"};
  return {Kind::failed, "it is still there"};
}

// Writes and removes one file under .heimdall-storage/, the only place where we ever write.
Result<void> write_and_delete(const std::filesystem::path& root) {
  const std::filesystem::path directory = root / ".heimdall-storage";
  const std::filesystem::path file = directory / format("probe-{:016x}", random_u64());
  std::error_code error;
  const bool created = std::filesystem::create_directory(directory, error);
  if (error) return system_error(error.value(), format("cannot create '{}'", directory.string()));
  {
    TRY_ASSIGN(const UniqueFd fd, open_file(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, "probe"));
  }
  if (unlink(file.c_str()) != 0) return system_error(errno, format("cannot delete '{}'", file.string()));
  if (created) rmdir(directory.c_str());
  return {};
}

Result<DeleteFacts> DirectoryStore::try_deleting(TryBy how) {
  const std::string& root = reader_.tree().path();
  if (access(root.c_str(), W_OK | X_OK) != 0) {
    return Error{ErrorCode::permission_denied, system_error(errno, format("no permission to delete in '{}'", printable(root))).message,
                 "give this user write permission there"};
  }
  if (how == TryBy::writing) TRY(write_and_delete(root));
  return DeleteFacts{.proved = how == TryBy::writing, .honours_if_match = false};
}

Result<std::unique_ptr<BucketHold>> DirectoryStore::hold() {
  const std::string& root = reader_.tree().path();
  auto lock = FileLock::try_lock(root, FileLock::IfMissing::fail);
  if (!lock && lock.error().code == ErrorCode::locked) {
    return Error{ErrorCode::locked, format("another process is deleting in '{}'", printable(root)),
                 "wait until it has ended; the lock goes with the process"};
  }
  if (!lock) return std::move(lock).error();
  TRY(reader_.tree().confirm_root());
  return std::unique_ptr<BucketHold>(std::make_unique<DirectoryHold>(*std::move(lock)));
}

}  // namespace

Result<std::unique_ptr<ObjectReader>> open_directory_reader(DirectoryOptions options, const Clock& clock) {
  TRY_ASSIGN(Tree tree, Tree::open(std::move(options.root)));
  return std::unique_ptr<ObjectReader>(std::make_unique<DirectoryReader>(std::move(tree), options.age, std::move(options.is_kept), clock));
}

Result<std::unique_ptr<ObjectStore>> open_directory_store(DirectoryOptions options, const Clock& clock) {
  TRY_ASSIGN(Tree tree, Tree::open(std::move(options.root)));
  return std::unique_ptr<ObjectStore>(std::make_unique<DirectoryStore>(std::move(tree), std::move(options), clock));
}

}  // namespace heimdall
