#pragma once

#include <stop_token>

namespace heimdall {

// What a stop does to the work at hand, as the user is told.
enum class StopMeans { finish_batch, give_up };

// Turns the first SIGINT, SIGTERM or SIGHUP into a stop request, and the second into an exit at once with 130 (what is in doubt then is
// looked up by the next start). Ignores SIGPIPE: a reader that went away must not end a sweep in the middle. Call once, before any thread is started.
std::stop_token stop_on_signals(StopMeans means);

}  // namespace heimdall
