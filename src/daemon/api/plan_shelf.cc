#include "daemon/api/plan_shelf.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/format.h"
#include "base/text.h"
#include "daemon/api/fields.h"

namespace heimdall {

namespace {

constexpr std::size_t kMostKnown = 200;
constexpr std::string_view kSuffix = ".plan";

Error no_such_plan(const std::string& id) {
  return Error{ErrorCode::not_found, format("there is no plan '{}'", printable(id)), "GET /api/v1/plans lists those that are there"};
}

}  // namespace

Result<std::filesystem::path> PlanShelf::path_of(const std::string& id) const {
  TRY_ASSIGN(const auto folder, directory_.plans());
  return folder / file_name_of(id);
}

Result<std::vector<std::string>> PlanShelf::ids(const std::string& before, std::size_t limit) const {
  TRY_ASSIGN(const auto folder, directory_.plans());
  std::vector<std::string> ids;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (!name.ends_with(kSuffix)) continue;
    std::string id = name.substr(0, name.size() - kSuffix.size());
    if (is_run_id(id) && (before.empty() || id < before)) ids.push_back(std::move(id));
  }
  if (error) return system_error(error.value(), format("cannot read '{}'", folder.string()));
  std::sort(ids.rbegin(), ids.rend());
  if (ids.size() > limit) ids.resize(limit);
  return ids;
}

Result<PlanShelf::FileMark> PlanShelf::mark_of(const std::filesystem::path& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return system_error(errno, format("cannot open '{}'", path.string()));
  return FileMark{status.st_ino, static_cast<std::uint64_t>(status.st_size), status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

Result<std::shared_ptr<const Plan>> PlanShelf::open(const std::string& id) {
  TRY_ASSIGN(const auto path, path_of(id));
  auto mark = mark_of(path);
  if (!mark) return mark.error().code == ErrorCode::not_found ? no_such_plan(id) : mark.error();
  {
    const std::scoped_lock lock(mutex_);
    const auto at = std::find_if(known_.begin(), known_.end(), [&](const Known& one) { return one.id == id && one.mark == *mark; });
    if (at != known_.end()) {
      known_.splice(known_.begin(), known_, at);
      return at->plan;
    }
  }
  // Without the lock: this reads the whole file.
  auto opened = Plan::open(path);
  if (!opened) return opened.error().code == ErrorCode::not_found ? no_such_plan(id) : opened.error();
  auto plan = std::make_shared<const Plan>(std::move(*opened));
  const std::scoped_lock lock(mutex_);
  std::erase_if(known_, [&](const Known& one) { return one.id == id; });
  known_.push_front({id, *mark, plan});
  if (known_.size() > kMostKnown) known_.pop_back();
  return plan;
}

Result<void> PlanShelf::discard(const std::string& id) {
  {
    const std::scoped_lock lock(mutex_);
    std::erase_if(known_, [&](const Known& one) { return one.id == id; });
  }
  TRY_ASSIGN(const auto path, path_of(id));
  if (unlink(path.c_str()) == 0) return {};
  return errno == ENOENT ? no_such_plan(id) : system_error(errno, format("cannot remove '{}'", path.string()));
}

}  // namespace heimdall
