#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace heimdall {

// One value of a reference source as it stands in the database or list, before mapping. Valid during the call that hands it over.
// A NULL is an empty `value`.
struct ReferenceRow {
  std::string_view value;
  std::optional<std::string_view> bucket;  // for sources whose rows are (bucket, key)
};

// Which data answered: compared with the baseline and proved again by every new connection.
struct SourceIdentity {
  std::string database;   // cluster, file or list, so that another one behind the same name is noticed
  std::string relations;  // the tables behind the query, sorted, separated by ','; empty for lists
  std::uint64_t position = 0;  // grows with each write where the database tells (LSN), else 0
  bool operator==(const SourceIdentity&) const = default;
};

}  // namespace heimdall
