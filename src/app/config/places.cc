#include "app/config/places.h"

#include <sys/stat.h>

#include <algorithm>
#include <system_error>

namespace heimdall {

namespace fs = std::filesystem;

Place::Place(const fs::path& path) {
  std::error_code error;
  path_ = fs::weakly_canonical(path, error);
  if (error) path_ = path.lexically_normal();
  for (fs::path level = path_;; level = level.parent_path()) {
    struct stat info {};
    const bool exists = stat(level.c_str(), &info) == 0;
    levels_.push_back({level.native(), exists, {info.st_dev, info.st_ino}});
    if (level == level.parent_path()) return;
  }
}

bool Place::is_within(const Place& outer) const {
  return std::any_of(levels_.begin(), levels_.end(), [&](const Level& level) { return level.is(outer.levels_.front()); });
}

}  // namespace heimdall
