#pragma once

#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "pipeline/plan.h"
#include "state/state_directory.h"

namespace heimdall {

// The plans of the service: ID.plan in plans() of the state directory, ID being the run that made it. What open() read and proved once is remembered for as long as the file is
// the same. Thread-safe.
class PlanShelf {
 public:
  explicit PlanShelf(const StateDirectory& directory) : directory_(directory) {}

  static std::string file_name_of(const std::string& id) { return id + ".plan"; }
  Result<std::filesystem::path> path_of(const std::string& id) const;

  // Newest first; those behind `before` (empty: all), at most `limit`. What is no plan by its name is left out.
  Result<std::vector<std::string>> ids(const std::string& before, std::size_t limit) const;

  // not_found; corrupt if it was cut or altered. `id` must be a run id.
  Result<std::shared_ptr<const Plan>> open(const std::string& id);

  // not_found.
  Result<void> discard(const std::string& id);

 private:
  // Another file, or the same one written again, has another one.
  struct FileMark {
    std::uint64_t inode = 0, size = 0;
    std::int64_t modified = 0;
    bool operator==(const FileMark&) const = default;
  };
  struct Known {
    std::string id;
    FileMark mark;
    std::shared_ptr<const Plan> plan;
  };
  static Result<FileMark> mark_of(const std::filesystem::path& path);

  const StateDirectory& directory_;
  std::mutex mutex_;
  std::list<Known> known_;  // the one that was asked for last is the first
};

}  // namespace heimdall
