#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "io/file.h"
#include "state/process_mark.h"

namespace heimdall {

// Where everything lives that survives between runs (docs/formats/state-database.md):
//
//   state.db                  journal and history
//   ledgers/BUCKET.ledger     when each orphan was first seen
//   locks/BUCKET.lock         held while a process sweeps the bucket
//   tmp/                      snapshots and spools of running processes
//
// Thread-safe.
class StateDirectory {
 public:
  // Creates the directory (mode 0700) if it is missing, and removes what dead processes left in tmp/ and of half written ledgers.
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

  // Keeps every other process on this host from sweeping the bucket, for as long as the lock lives. `locked` names the holder.
  Result<FileLock> lock_bucket(std::string_view bucket) const;

 private:
  StateDirectory(std::filesystem::path root, bool created);

  std::filesystem::path root_;
  bool created_;
  ProcessMark process_;
};

// `name` as a file name: letters, digits, '-', '_' and inner dots as they are, the rest as %XX; never two names to one file.
std::string escaped_file_name(std::string_view name);

}  // namespace heimdall
