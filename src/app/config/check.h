#pragma once

#include <filesystem>
#include <string>

#include "app/config/draft.h"
#include "app/config/places.h"

namespace heimdall {

// What only shows when entries are compared: names that mean two things, and objects that two entries cover (invariant 8). Looks at
// the file system for links and mounts, contacts nothing.
void check_entries(const Draft& draft, Problems& problems);

// Notes each use of something that this version knows but does not do. Ignoring it would do less, or other, than was asked.
void refuse_unimplemented(const Draft& draft, Problems& problems);

// Why the file or directory `path` must not stand where it stands: a bucket covers it, no row refers to it, so it is an orphan. Empty
// if all is well. `role` is for the message, with its article: "the state directory".
std::string why_misplaced(const Config& config, const std::filesystem::path& path, std::string_view role, Places& places);

}  // namespace heimdall
