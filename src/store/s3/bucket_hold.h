#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/error.h"
#include "ports/object_store.h"

namespace heimdall {

// Holds every one of `names` for this process, on this host: each is an abstract Unix socket whose address is a digest of the name. The kernel lets
// go of it when the process dies, however it dies; it needs no directory that all users can write, and whoever finds it taken learns the holder's
// process from the kernel. A container with a network of its own is like another host: there the locks in the databases stand (invariant 9).
//
// `locked` names the holder if it can; `shown` is the bucket for people.
Result<std::unique_ptr<BucketHold>> hold_names(std::span<const std::string> names, const std::string& shown);

}  // namespace heimdall
