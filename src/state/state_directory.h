#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "io/file.h"
#include "state/process_mark.h"
#include "state/sign_of_life.h"

namespace heimdall {

// Where everything lives that survives between runs (docs/formats/state-database.md):
//
//   state.db                  journal and history
//   ledgers/BUCKET.ledger     when each orphan was first seen
//   locks/BUCKET.lock         held while a process sweeps the bucket
//   tmp/                      snapshots and spools of running processes, and the sign of life of each
//   plans/                    plans that were made over the API, once there are some
//   service.lock              held by the service
//
// Thread-safe.
class StateDirectory {
 public:
  // Creates the directory (mode 0700) if it is missing, and removes what dead processes left in tmp/ and of half written ledgers.
  // Until the last copy is gone, this process shows there that it runs.
  // invalid_argument if the path is something else than a directory; permission_denied if it cannot be written to.
  static Result<StateDirectory> open(std::filesystem::path path);

  const std::filesystem::path& root() const { return root_; }
  // Whether open() had to create it: the user is told, a wrong --state would restart grace.
  bool created() const { return created_; }

  std::filesystem::path database() const { return root_ / "state.db"; }
  std::filesystem::path ledgers() const { return root_ / "ledgers"; }
  std::filesystem::path ledger(std::string_view bucket) const;
  std::filesystem::path lock_file(std::string_view bucket) const;

  // A new name in tmp/ that no other call and no other process gets. Nothing is created; what is there when this process
  // ends is removed by the next open().
  std::filesystem::path scratch_file(std::string_view label) const;

  // Whether a process that opened this directory still runs, in whatever container of this machine. False only if it has certainly ended, see
  // is_running() in sign_of_life.h.
  bool is_running(const ProcessMark& process) const;

  // Keeps every other process on this host from sweeping the bucket, for as long as the lock lives. `locked` names the holder.
  Result<FileLock> lock_bucket(std::string_view bucket) const;
  // Keeps a second service from this state directory, for as long as the lock lives. `locked` names the holder. Other commands do not need it.
  Result<FileLock> lock_service() const;

  // Where the API keeps its plans; created (mode 0700) if it is missing.
  Result<std::filesystem::path> plans() const;
  // Removes the files in plans() that were last written more than 48 h before `now`: no plan is valid that long. How many there were. What cannot be
  // removed stays for the next call.
  std::uint64_t remove_old_plans(Timestamp now) const;

 private:
  // The lock at `path`, with our pid in it. `holder` is " (pid N)" of the other one, or empty, when it is `locked`.
  Result<FileLock> lock_at(const std::filesystem::path& path, std::string& holder) const;
  StateDirectory(std::filesystem::path root, bool created, ProcessMark process, std::shared_ptr<const SignOfLife> sign);

  std::filesystem::path root_;
  bool created_;
  ProcessMark process_;
  std::shared_ptr<const SignOfLife> sign_;
};

// `name` as a file name: letters, digits, '-', '_' and inner dots as they are, the rest as %XX; never two names to one file.
std::string escaped_file_name(std::string_view name);

}  // namespace heimdall
