#pragma once

#include "base/error.h"

namespace heimdall {

// The process's exit status. Codes may be added; an unknown one means failure.
enum class ExitCode : int {
  ok = 0,
  failure = 1,
  plan_not_empty = 2,  // only with --detailed-exitcode
  partial = 3,         // a key failed or is in doubt, or a range was not listed
  refused = 4,         // a guard refused
  plan_stale = 5,      // stale, altered, expired or used
  not_approved = 6,
  unreachable = 7,     // a store or database cannot be reached, or is not there
  permission = 8,
  configuration = 10,
  locked = 11,
  doctor = 12,         // doctor found problems
  usage = 64,
  interrupted = 130,
};

// The code of an error that ended a command while it talked to stores and databases.
inline ExitCode exit_code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_found:
    case ErrorCode::throttled:
    case ErrorCode::unavailable: return ExitCode::unreachable;
    case ErrorCode::permission_denied: return ExitCode::permission;
    case ErrorCode::not_approved: return ExitCode::not_approved;
    case ErrorCode::locked: return ExitCode::locked;
    case ErrorCode::in_doubt: return ExitCode::partial;
    case ErrorCode::cancelled: return ExitCode::interrupted;
    case ErrorCode::invalid_argument:
    case ErrorCode::failed_precondition:
    case ErrorCode::corrupt:
    case ErrorCode::internal: return ExitCode::failure;
  }
  return ExitCode::failure;
}

}  // namespace heimdall
