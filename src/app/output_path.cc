#include "app/output_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "app/config/places.h"
#include "base/format.h"
#include "base/text.h"
#include "io/file.h"
#include "io/record_file.h"
#include "pipeline/plan.h"

namespace heimdall {

namespace {

namespace fs = std::filesystem;

std::string_view kind_of_file(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISFIFO(mode)) return "a named pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

class OutputCheck {
 public:
  OutputCheck(const Config& config, const fs::path& path, OutputKind kind) : config_(config), path_(path), kind_(kind) {}

  Result<void> run() const {
    if (!path_.has_filename()) return refuse("that is no name of a file", "name a file");
    struct stat info {};
    const int problem = lstat(path_.c_str(), &info) == 0 ? 0 : errno;
    if (problem == 0 && !S_ISREG(info.st_mode)) return refuse(format("it is {}", kind_of_file(info.st_mode)), "name a file that is not there yet");
    TRY(check_directory());
    TRY(check_place());
    if (problem == ENOENT) return {};
    if (problem != 0) return refuse(std::generic_category().message(problem), "name another file");
    return kind_ == OutputKind::plan ? check_is_plan(info) : check_is_not_read(info);
  }

 private:
  Error refuse(std::string_view why, std::string_view hint) const {
    return {ErrorCode::invalid_argument,
            format("{} cannot be written to '{}': {}", kind_ == OutputKind::plan ? "the plan" : "the dangling references", printable(path_.string()), why),
            std::string(hint)};
  }

  Result<void> check_directory() const {
    const fs::path directory = path_.has_parent_path() ? path_.parent_path() : fs::path(".");
    const std::string name = printable(directory.string());
    struct stat info {};
    if (stat(directory.c_str(), &info) != 0) {
      return refuse(format("the directory '{}': {}", name, std::generic_category().message(errno)), "create it, or name a file elsewhere");
    }
    if (!S_ISDIR(info.st_mode)) return refuse(format("'{}' is no directory", name), "name a file elsewhere");
    if (faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return {};
    return refuse(format("the directory '{}' cannot be written to: {}", name, std::generic_category().message(errno)), "name a file elsewhere");
  }

  Result<void> check_place() const {
    const Place place(path_);
    for (const StoreConfig& store : config_.stores) {
      if (store.kind != StoreKind::directory || !place.is_within(Place(store.directory.path))) continue;
      return refuse(format("it lies in the store '{}' and would be taken for an object", store.name), "name a file elsewhere");
    }
    if (!place.is_within(Place(config_.state))) return {};
    return refuse("it lies in the state directory", "name a file elsewhere");
  }

  Result<void> check_is_plan(const struct stat& info) const {
    if (info.st_size == 0) return {};
    TRY_ASSIGN(const bool is_plan, has_record_kind(path_, kPlanKind));
    if (is_plan) return {};
    return refuse("what is there is no plan", "name a file that is not there yet, or an older plan");
  }

  Result<void> check_is_not_read(const struct stat& found) const {
    for (const fs::path& read : files_read()) {
      struct stat info {};
      if (stat(read.c_str(), &info) != 0 || info.st_dev != found.st_dev || info.st_ino != found.st_ino) continue;
      return refuse(read == config_.path ? "it is the configuration" : "the configuration reads it", "name another file");
    }
    return {};
  }

  // Besides secrets, which no name of ours comes near.
  std::vector<fs::path> files_read() const {
    std::vector<fs::path> files = {config_.path};
    for (const DatabaseConfig& database : config_.databases) {
      if (database.kind != DatabaseKind::sqlite) continue;
      for (const std::string_view end : {"", "-wal", "-shm", "-journal"}) files.emplace_back(database.path.string() + std::string(end));
    }
    for (const BucketConfig& bucket : config_.buckets) {
      for (const ReferenceConfig& reference : bucket.references) {
        if (reference.kind == ReferenceKind::list && !reference.is_stdin()) files.push_back(reference.list);
      }
    }
    return files;
  }

  const Config& config_;
  const fs::path& path_;
  OutputKind kind_;
};

}  // namespace

Result<void> check_output_path(const Config& config, const fs::path& path, OutputKind kind) { return OutputCheck(config, path, kind).run(); }

}  // namespace heimdall
