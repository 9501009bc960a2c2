#include "app/look_up_secret.h"

#include "base/format.h"
#include "io/file.h"

namespace heimdall {

Result<std::optional<std::string>> look_up_secret(const SecretPlace& place, std::string_view what, const Environment& environment) {
  if (place.environment) {
    auto value = environment(*place.environment);
    if (value && !value->empty()) return value;
    return Error{ErrorCode::permission_denied, format("the environment variable {}, which should hold the {}, is not set", *place.environment, what),
                 format("set it for this process, or name a file with {}_file", what)};
  }
  if (!place.file) return std::optional<std::string>();
  auto read = read_whole_file(*place.file, format("{} file", what));
  if (!read) {
    Error error = std::move(read).error();
    if (error.code == ErrorCode::not_found) error.code = ErrorCode::permission_denied;  // no dependency is missing, but the right to use one
    return error;
  }
  std::string text = *std::move(read);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return std::optional(std::move(text));
}

}  // namespace heimdall
