#include "store/fs/directory_listing.h"

#include <utility>

#include "base/format.h"
#include "base/text.h"

namespace heimdall {

namespace {

constexpr std::size_t kPageSize = 1000;
// Directories further up are closed and opened again on the way back.
constexpr std::size_t kOpenLevels = 64;

}  // namespace

bool is_in_range(const ListRange& range, std::string_view key) {
  return key.starts_with(range.prefix) && (range.after.empty() || key > range.after) &&
         (range.until.empty() || key <= range.until);
}

bool may_hold(const ListRange& range, std::string_view directory) {
  const std::string_view prefix = range.prefix;
  if (!directory.starts_with(prefix) && !prefix.starts_with(directory)) return false;
  // Every key below is longer than `directory`, hence after it.
  if (!range.until.empty() && directory >= range.until) return false;
  return std::string_view(range.after).starts_with(directory) || directory > range.after;
}

Result<void> read_names(const Tree& tree, int directory, std::string_view shown, std::vector<char>& buffer, DirectoryNames& names) {
  if (const int error = names.read(directory, buffer); error != 0) {
    return system_error(error, format("cannot read the directory '{}' below '{}'", printable(shown), printable(tree.path())));
  }
  for (std::size_t i = 0; i < names.size();) {
    if (names.type(i) == DirectoryNames::Type::unknown) {
      TRY_ASSIGN(const Tree::Looked looked, tree.look(directory, names.c_name(i), std::string(shown).append(names.name(i))));
      const bool file = looked.presence == Presence::here && looked.state.kind == FileKind::regular;
      const bool below = looked.presence == Presence::here && looked.state.kind == FileKind::directory;
      if (!file && !below) {
        if (looked.state.kind == FileKind::symlink && looked.presence == Presence::here) names.add_link(names.name(i));
        names.swap_out(i);
        continue;
      }
      names.set_type(i, file ? DirectoryNames::Type::file : DirectoryNames::Type::directory);
    }
    ++i;
  }
  names.sort();
  return {};
}

DirectoryListing::DirectoryListing(const Tree& tree, ListRange range, AgeFrom age, const IsKept& is_kept)
    : tree_(tree), range_(std::move(range)), age_(age), is_kept_(is_kept), buffer_(kNamesBuffer) {}

Result<PageStatus> DirectoryListing::next(ObjectPage& page) {
  page.clear();
  if (failure_) return *failure_;
  auto status = fill(page);
  if (!status) {
    page.clear();
    failure_ = status.error();
  }
  return status;
}

Result<PageStatus> DirectoryListing::fill(ObjectPage& page) {
  if (!std::exchange(started_, true)) TRY(start());
  while (depth_ > 0 && page.size() < kPageSize) {
    Level& level = levels_[depth_ - 1];
    path_.resize(level.path_size);
    if (level.position == level.names.size()) {
      leave();
      continue;
    }
    const std::size_t i = level.position++;
    path_ += level.names.name(i);
    if (level.names.type(i) == DirectoryNames::Type::file) {
      if (!is_in_range(range_, path_)) continue;
      TRY_ASSIGN(const bool open, reopen(level));
      if (open) TRY(add_file(level, level.names.c_name(i), page));
    } else {
      path_ += '/';
      if (is_reserved_key(path_) || !may_hold(range_, path_)) continue;
      TRY_ASSIGN(const bool open, reopen(level));
      if (open) TRY(descend(level, level.names.c_name(i)));
    }
  }
  if (depth_ > 0) return PageStatus::more;
  // Whatever was absent on the way counts only if the tree is still there.
  TRY(tree_.confirm_root());
  return PageStatus::last;
}

// Goes straight to the directory that the prefix names.
Result<void> DirectoryListing::start() {
  const std::string_view directory = split_key(range_.prefix).directory;
  if (is_reserved_key(range_.prefix) || !may_hold(range_, directory)) return {};
  TRY_ASSIGN(OpenedDirectory opened, tree_.open_directory(directory, DirectoryUse::read));
  if (opened.presence != Presence::here) return {};
  path_ = directory;
  return enter(std::move(opened.fd));
}

// path_ is the new level's path.
Result<void> DirectoryListing::enter(UniqueFd fd) {
  if (depth_ == levels_.size()) levels_.emplace_back();
  Level& level = levels_[depth_++];
  level.fd = std::move(fd);
  level.position = 0;
  level.path_size = path_.size();
  if (depth_ > kOpenLevels) levels_[depth_ - 1 - kOpenLevels].fd.reset();
  TRY(read_names(tree_, level.fd.get(), path_, buffer_, level.names));
  return follow_links(level);
}

// Each link is met by the listing of the one range that its key would lie in.
Result<void> DirectoryListing::follow_links(const Level& level) {
  for (const std::string& name : level.names.links()) {
    std::string key = path_ + name;
    if (!is_in_range(range_, key)) continue;
    TRY_ASSIGN(auto place, tree_.place_behind(level.fd.get(), name.c_str(), key));
    if (!place || (is_kept_ && is_kept_(*place))) continue;
    links_.push_back({std::move(key), *std::move(place)});
  }
  return {};
}

void DirectoryListing::leave() { levels_[--depth_].fd.reset(); }

// false: the directory is gone, and with it all that it held.
Result<bool> DirectoryListing::reopen(Level& level) {
  if (level.fd) return true;
  TRY_ASSIGN(OpenedDirectory opened,
             tree_.open_directory(std::string_view(path_).substr(0, level.path_size), DirectoryUse::lookup));
  level.fd = std::move(opened.fd);
  return opened.presence == Presence::here;
}

Result<void> DirectoryListing::add_file(const Level& level, const char* name, ObjectPage& page) {
  TRY_ASSIGN(const Tree::Looked looked, tree_.look(level.fd.get(), name, path_));
  if (looked.presence != Presence::here || looked.state.kind != FileKind::regular) return {};
  const FileTag tag(looked.state, age_);
  page.add({path_, tag.text(), "", looked.state.size_bytes, age_of(looked.state, age_)});
  return {};
}

Result<void> DirectoryListing::descend(Level& level, const char* name) {
  TRY_ASSIGN(OpenedDirectory child, tree_.open_child(level.fd.get(), name, DirectoryUse::read, path_));
  if (child.presence != Presence::here) return {};
  return enter(std::move(child.fd));
}

}  // namespace heimdall
