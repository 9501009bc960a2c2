#include "app/config/config.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "app/config/check.h"
#include "app/config/digest.h"
#include "app/config/draft.h"
#include "base/format.h"
#include "io/file.h"

namespace heimdall {
namespace {

namespace fs = std::filesystem;

template <class T>
const T* find_named(const std::vector<T>& list, std::string_view name) {
  const auto found = std::ranges::find(list, name, &T::name);
  return found == list.end() ? nullptr : &*found;
}

std::optional<std::string> set_variable(const Environment& environment, const std::string& name) {
  auto value = environment(name);
  return value && !value->empty() ? value : std::nullopt;
}

fs::path absolute_path(const fs::path& path) {
  std::error_code error;
  const fs::path result = fs::absolute(path, error);
  return (error ? path : result).lexically_normal();
}

// What a reference to each bucket may be called, as seen from each other bucket.
void fill_mapping_names(Draft& draft) {
  std::vector<BucketConfig>& buckets = draft.config.buckets;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    MappingRules names;
    for (std::size_t j = 0; j < buckets.size(); ++j) {
      auto& list = i == j ? names.aliases : names.other_buckets;
      if (i != j) list.push_back(buckets[j].policy.name);
      for (const Marked<std::string>& alias : draft.buckets[j].aliases) list.push_back(alias.value);
    }
    for (SourcePolicy& source : buckets[i].policy.sources) {
      source.mapping.bucket = buckets[i].policy.name;
      source.mapping.aliases = names.aliases;
      source.mapping.other_buckets = names.other_buckets;
    }
  }
}

}  // namespace

const StoreConfig* Config::find_store(std::string_view name) const { return find_named(stores, name); }
const DatabaseConfig* Config::find_database(std::string_view name) const { return find_named(databases, name); }
const BucketConfig* Config::find_bucket(std::string_view name) const {
  const auto found = std::ranges::find_if(buckets, [&](const BucketConfig& bucket) { return bucket.policy.name == name; });
  return found == buckets.end() ? nullptr : &*found;
}

std::string_view to_string(ScheduledTask task) {
  switch (task) {
    case ScheduledTask::cleanup: return "cleanup";
    case ScheduledTask::stats: return "stats";
  }
  return "stats";
}

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* const value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

Result<fs::path> find_config(const std::optional<std::string>& flag, const Environment& environment) {
  const fs::path places[] = {"heimdall.yaml", "/etc/heimdall-storage/heimdall.yaml"};
  return find_config(flag, environment, places);
}

Result<fs::path> find_config(const std::optional<std::string>& flag, const Environment& environment, std::span<const fs::path> places) {
  if (flag) return fs::path(*flag);
  if (const auto named = set_variable(environment, "HEIMDALL_STORAGE_CONFIG")) return fs::path(*named);
  std::string tried;
  for (const fs::path& place : places) {
    // A place that cannot be looked at may hold the file that was meant; loading it says why it cannot be read.
    std::error_code error;
    const fs::file_status status = fs::status(place, error);
    if (status.type() != fs::file_type::not_found) return place;
    tried += format("{}'{}'", tried.empty() ? "" : " and ", place.string());
  }
  return Error{ErrorCode::not_found, format("there is no configuration: looked for {}", tried),
               "write one (docs/configuration.md begins with a small one), or name it with --config FILE or HEIMDALL_STORAGE_CONFIG"};
}

Result<Config> load_config(const fs::path& path, const Environment& environment) {
  TRY_ASSIGN(const std::string text, read_whole_file(path, "configuration"));
  return parse_config(text, path, environment);
}

Result<Config> parse_config(std::string_view text, const fs::path& path, const Environment& environment) {
  TRY_ASSIGN(const YamlNode root, parse_yaml(text, path.string()));
  Problems problems(path.string());
  Draft draft = read_draft(root, absolute_path(path).parent_path(), problems);
  draft.config.path = path;
  if (const auto state = set_variable(environment, "HEIMDALL_STORAGE_STATE")) draft.config.state = absolute_path(*state);
  fill_mapping_names(draft);
  check_entries(draft, problems);
  refuse_unimplemented(draft, problems);
  if (!problems.empty()) return problems.to_error();
  for (BucketConfig& bucket : draft.config.buckets) bucket.policy.digest = digest_of(draft.config, bucket);
  return std::move(draft.config);
}

Result<void> use_state_directory(Config& config, const fs::path& state) {
  if (state.empty()) return Error{ErrorCode::invalid_argument, "the name of the state directory is empty"};
  const fs::path path = absolute_path(state);
  Places places;
  const std::string why = why_misplaced(config, path, "the state directory", places);
  if (!why.empty()) return Error{ErrorCode::invalid_argument, why};
  config.state = path;
  return {};
}

}  // namespace heimdall
