#include "store/fs/directory_reader.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "base/format.h"
#include "base/text.h"
#include "store/fs/directory_listing.h"

namespace heimdall {

namespace {

// The keys of the sub-directories of `directory` that may hold keys of `range`, in order.
Result<std::vector<std::string>> subdirectories(const Tree& tree, std::string_view directory, const ListRange& range) {
  std::vector<std::string> result;
  TRY_ASSIGN(const OpenedDirectory opened, tree.open_directory(directory, DirectoryUse::read));
  if (opened.presence != Presence::here) return result;
  std::vector<char> buffer(kNamesBuffer);
  DirectoryNames names;
  TRY(read_names(tree, opened.fd.get(), directory, buffer, names));
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names.type(i) != DirectoryNames::Type::directory) continue;
    std::string key = std::string(directory).append(names.name(i)) + '/';
    if (may_hold(range, key) && !is_reserved_key(key)) result.push_back(std::move(key));
  }
  return result;
}

// Cuts need not be all there are: some, evenly spaced, keep memory bounded where a directory holds millions of directories.
void append_some(std::vector<std::string>& cuts, const std::vector<std::string>& more) {
  constexpr std::size_t kMost = 256;
  const std::size_t step = more.size() / kMost + 1;
  for (std::size_t i = 0; i < more.size(); i += step) cuts.push_back(more[i]);
}

}  // namespace

Result<std::string> DirectoryReader::identity() {
  TRY(tree_.confirm_root());
  return tree_.identity();
}

// Cuts before directories, as many levels down as it takes to have enough of them. The bounds are keys, whatever exists at them: so the
// ranges tile, also for keys that come later.
Result<std::vector<ListRange>> DirectoryReader::split(const ListRange& range, const SplitHints& hints) {
  constexpr int kDeepest = 16;
  const unsigned wanted = hints.wanted;
  std::vector<ListRange> ranges = {range};
  if (wanted <= 1) return ranges;
  std::vector<std::string> cuts;
  {
    TRY_ASSIGN(const std::vector<std::string> top, subdirectories(tree_, split_key(range.prefix).directory, range));
    append_some(cuts, top);
  }
  std::vector<std::string> lowest = cuts;
  for (int level = 1; cuts.size() < wanted && !lowest.empty() && level < kDeepest; ++level) {
    std::vector<std::string> lower;
    for (const std::string& directory : lowest) {
      // One that cannot be read is not cut: the listing of its range will say so, and the others go on.
      const auto below = subdirectories(tree_, directory, range);
      if (below) append_some(lower, *below);
    }
    cuts.insert(cuts.end(), lower.begin(), lower.end());
    lowest = std::move(lower);
  }
  // Of a directory around a bound some keys are inside, its own name is not.
  std::erase_if(cuts, [&](const std::string& cut) { return cut <= range.after || (!range.until.empty() && cut >= range.until); });
  std::sort(cuts.begin(), cuts.end());
  const std::size_t parts = std::min<std::size_t>(wanted, cuts.size() + 1);
  for (std::size_t i = 1; i < parts; ++i) {
    std::string& cut = cuts[cuts.size() * i / parts];
    ranges.back().until = cut;
    ranges.push_back({range.prefix, std::move(cut), range.until});
  }
  return ranges;
}

// The kernel reads directories on the thread that asks.
ListingLimits DirectoryReader::listing_limits() {
  constexpr unsigned kMost = 8;
  constexpr std::uint64_t kWorthwhile = 2000;
  const unsigned workers = std::clamp(std::thread::hardware_concurrency(), 2U, kMost);
  return {workers, workers, kWorthwhile};
}

Result<std::unique_ptr<Listing>> DirectoryReader::list(const ListRange& range) {
  return std::unique_ptr<Listing>(std::make_unique<DirectoryListing>(tree_, range, age_, is_kept_));
}

Result<ObjectMeta> DirectoryReader::head(const ObjectKey& key) {
  const auto missing = [&](std::string_view why) {
    return Error{ErrorCode::not_found, format("there is no object '{}' in '{}': {}", printable(key.bytes()), printable(tree_.path()), why)};
  };
  if (is_reserved_key(key.bytes())) return missing("the key is reserved");
  TRY_ASSIGN(const Tree::Found found, tree_.find(key.bytes()));
  if (found.presence == Presence::absent) return missing("no such file");
  if (found.presence == Presence::outside) return missing("a symbolic link or a mount is on its path, and those are never entered");
  if (found.state.kind != FileKind::regular) return missing("it is no regular file");
  const FileTag tag(found.state, age_);
  return ObjectMeta{key, found.state.size_bytes, age_of(found.state, age_), std::string(tag.text()), ""};
}

std::vector<Result<ObjectMeta>> DirectoryReader::inspect(std::span<const ObjectKey> keys) {
  std::vector<Result<ObjectMeta>> result;
  result.reserve(keys.size());
  for (const ObjectKey& key : keys) result.push_back(head(key));
  return result;
}

Result<std::optional<StoreCapacity>> DirectoryReader::capacity() {
  TRY(tree_.confirm_root());
  struct statvfs disk {};
  if (fstatvfs(tree_.root(), &disk) != 0) return system_error(errno, format("cannot tell how full the disk of '{}' is", printable(tree_.path())));
  const auto bytes = [&](fsblkcnt_t blocks) { return static_cast<std::uint64_t>(blocks) * disk.f_frsize; };
  return std::optional(StoreCapacity{bytes(disk.f_blocks), bytes(disk.f_blocks - disk.f_bfree), bytes(disk.f_bavail)});
}

}  // namespace heimdall
