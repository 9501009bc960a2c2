#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

namespace heimdall {

// What the caller should do next. There is no code for "something went wrong".
enum class ErrorCode {
  invalid_argument,     // Fix the call or the configuration; never retry.
  not_found,            // The named thing is absent, and the peer said so.
  permission_denied,    // The peer knows who we are and refuses.
  failed_precondition,  // State must change first (an object was rewritten, a plan was used).
  throttled,            // Retry later; honour `retry_after` if present.
  unavailable,          // Transient, or out of reach; retrying this very call is safe.
  in_doubt,             // A mutation was sent and its outcome is unknown: look before acting.
  corrupt,              // Stored or received data contradicts itself.
  locked,               // Another process holds what we need.
  not_approved,         // A person or the configuration must allow it first.
  cancelled,            // We were asked to stop.
  internal,             // A bug of ours, or a local resource that failed (disk full).
};

std::string_view to_string(ErrorCode code);

// One failure. `message` says what happened, to what and why; `hint` says what to do next and may be empty.
// Neither ever holds a secret.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  std::string hint = {};
  std::optional<std::chrono::milliseconds> retry_after = std::nullopt;
};

// A value or the reason why there is none. A dropped Result does not compile (with -Werror).
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
  Result(Error error) : tl::expected<T, Error>(tl::unexpect, std::move(error)) {}  // NOLINT: `return Error{...}`
};

// Puts "`context`: " in front of the message.
Error with_context(Error error, std::string_view context);

// The Error for a failed system call, from `errno_value`: ENOENT is not_found, EACCES and EPERM permission_denied,
// the rest internal. `what` names the action and the thing, for example "cannot open '/x/y'".
Error system_error(int errno_value, std::string_view what);

}  // namespace heimdall

#define HEIMDALL_CONCAT_(a, b) a##b
#define HEIMDALL_CONCAT(a, b) HEIMDALL_CONCAT_(a, b)

// Returns the error of `expr` from this function, if it has one.
#define TRY(expr) TRY_(HEIMDALL_CONCAT(try_result_, __LINE__), expr)
#define TRY_(tmp, expr)                                  \
  do {                                                   \
    if (auto&& tmp = (expr); !tmp) {                     \
      return ::heimdall::Error(std::move(tmp).error());  \
    }                                                    \
  } while (false)

// As TRY, else assigns the value: TRY_ASSIGN(auto page, listing.next());
#define TRY_ASSIGN(lhs, expr) TRY_ASSIGN_(HEIMDALL_CONCAT(try_value_, __LINE__), lhs, expr)
#define TRY_ASSIGN_(tmp, lhs, expr)                        \
  auto tmp = (expr);                                       \
  if (!tmp) {                                              \
    return ::heimdall::Error(std::move(tmp).error());      \
  }                                                        \
  lhs = std::move(*tmp)
