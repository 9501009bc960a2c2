#pragma once

#include <filesystem>

#include "base/error.h"
#include "io/fd.h"

namespace heimdall {

// Held as long as a process has the state database open: shared by all of them, and alone by one that may check the file
// and set it aside, since nobody else can have it open then. Ends with the process.
class DatabaseGuard {
 public:
  // Waits only while another process is just opening the database.
  static Result<DatabaseGuard> enter(const std::filesystem::path& path);

  bool alone() const { return alone_; }
  // Lets others in.
  Result<void> share();

 private:
  DatabaseGuard(UniqueFd fd, bool alone) : fd_(std::move(fd)), alone_(alone) {}
  UniqueFd fd_;
  bool alone_;
};

}  // namespace heimdall
