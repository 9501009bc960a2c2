#pragma once

#include <string_view>

#include "model/policy.h"

namespace heimdall {

// Whether no object at `place` can ever be planned, whatever refers to it: all of it lies outside of the prefixes, or a pattern of `protect:` matches it.
// A place is a key, or all below a directory, which ends in '/' or is empty. May say no where it is so.
bool is_never_planned(const BucketPolicy& policy, std::string_view place);

}  // namespace heimdall
