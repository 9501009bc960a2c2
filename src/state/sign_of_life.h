#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "io/fd.h"
#include "state/process_mark.h"

namespace heimdall {

// Says to every process of this machine that this one runs, whatever PID namespace (container) each of them is in: a kernel lock on
// DIRECTORY/PID-START-BOOT.alive. It ends with its process, however that ends. One process may show several signs with one mark.
class SignOfLife {
 public:
  static constexpr std::string_view kSuffix = ".alive";

  // Errors as of a file that cannot be created.
  static Result<SignOfLife> show(const std::filesystem::path& directory, const ProcessMark& mark);

  SignOfLife(SignOfLife&&) = default;
  SignOfLife& operator=(SignOfLife&&) = delete;
  // The last one with its mark takes the file along.
  ~SignOfLife();

 private:
  SignOfLife(std::filesystem::path path, UniqueFd fd);

  std::filesystem::path path_;
  UniqueFd fd_;
  pid_t owner_;
};

// By the sign of that process in `directory`; without one (it is another version's, or was removed) by seems_running().
// False only if that process has certainly ended, or shows no sign and this PID namespace does not see it.
bool is_running(const ProcessMark& mark, const std::filesystem::path& directory);

// Removes a sign that nobody holds. Best effort: what cannot be removed only takes a name, and the next call tries again.
void remove_if_ended(const std::filesystem::path& sign);

}  // namespace heimdall
