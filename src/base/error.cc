#include "base/error.h"

#include <cerrno>
#include <system_error>

namespace heimdall {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::permission_denied: return "permission_denied";
    case ErrorCode::failed_precondition: return "failed_precondition";
    case ErrorCode::throttled: return "throttled";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::in_doubt: return "in_doubt";
    case ErrorCode::corrupt: return "corrupt";
    case ErrorCode::locked: return "locked";
    case ErrorCode::not_approved: return "not_approved";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::internal: return "internal";
  }
  return "internal";
}

Error with_context(Error error, std::string_view context) {
  error.message.insert(0, std::string(context) + ": ");
  return error;
}

Error system_error(int errno_value, std::string_view what) {
  ErrorCode code = ErrorCode::internal;
  std::string hint;
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR: code = ErrorCode::not_found; break;
    case EACCES:
    case EPERM:
    case EROFS: code = ErrorCode::permission_denied; break;
    case ENOSPC:
    case EDQUOT: hint = "free some space on that file system, then run the command again"; break;
    case EMFILE:
    case ENFILE: hint = "raise the limit of open files (ulimit -n)"; break;
    default: break;
  }
  std::string message(what);
  message += ": " + std::generic_category().message(errno_value);
  return Error{code, std::move(message), std::move(hint)};
}

}  // namespace heimdall
