#pragma once

#include <string>

#include "app/config/config.h"

namespace heimdall {

// The digest of a bucket's policy: SHA-256 over a text of everything that decides which objects are candidates. Limits, mode, batch
// size and description are not part of it: they decide whether a plan is made or carried out, not what is in it.
std::string digest_of(const Config& config, const BucketConfig& bucket);

}  // namespace heimdall
