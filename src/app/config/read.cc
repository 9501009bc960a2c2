#include <algorithm>
#include <cctype>
#include <tuple>

#include "app/config/draft.h"
#include "base/format.h"
#include "base/text.h"

namespace heimdall {
namespace {

constexpr std::size_t kMaxName = 200;  // bytes; names become parts of file names

bool is_variable_name(std::string_view text) {
  const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) == 0 && std::ranges::all_of(text, is_word);
}

// A URL that begins with one of `schemes` and holds no password. It is never repeated in a message.
std::optional<std::string> read_url(Section& section, std::string_view key, const std::vector<std::string>& schemes,
                                    std::string_view instead) {
  const auto url = section.text(key);
  if (!url) return std::nullopt;
  if (holds_password(*url)) {
    section.problem(key, format("'{}' holds a password (not shown), which does not belong in this file; {}", key, instead));
    return std::nullopt;
  }
  if (std::ranges::none_of(schemes, [&](const std::string& scheme) { return url->starts_with(scheme) && url->size() > scheme.size(); })) {
    section.problem(key, format("'{}' must begin with {}", key, fmt::join(schemes, " or ")));
    return std::nullopt;
  }
  return url;
}

void read_directory_store(Section& section, DirectoryStoreConfig& store, const ReadContext& context) {
  section.require("path");
  if (const auto path = read_path(section, "path", context)) store.path = *path;
  if (const auto age = section.choice<DirectoryAge>("age", {{"change", DirectoryAge::change}, {"mtime", DirectoryAge::modification}})) {
    store.age = *age;
  }
}

// Notes a problem if one of two secrets is given without the other.
void check_pair(Section& section, const std::string& one, const std::string& other) {
  const auto has = [&](const std::string& name) { return section.has(name + "_env") || section.has(name + "_file"); };
  if (has(one) == has(other)) return;
  const auto& [given, missing] = has(one) ? std::tie(one, other) : std::tie(other, one);
  section.problem(section.has(given + "_env") ? given + "_env" : given + "_file",
                  format("'{}' needs '{}_env' or '{}_file' beside it", given, missing, missing));
}

void read_s3_store(Section& section, S3StoreConfig& store, const ReadContext& context) {
  section.require("endpoint");
  if (const auto url = read_url(section, "endpoint", {"http://", "https://"}, "use access_key_env and secret_key_env"))
    store.endpoint = *url;
  if (const auto region = section.text("region")) store.region = *region;
  store.path_style = section.boolean("path_style");
  store.profile = section.text("profile");
  store.access_key = read_secret(section, "access_key", context);
  store.secret_key = read_secret(section, "secret_key", context);
  store.delete_access_key = read_secret(section, "delete_access_key", context);
  store.delete_secret_key = read_secret(section, "delete_secret_key", context);
  check_pair(section, "access_key", "secret_key");
  check_pair(section, "delete_access_key", "delete_secret_key");
  store.ca_file = read_path(section, "ca_file", context);
  if (const auto timeout = section.duration("request_timeout")) {
    if (*timeout < std::chrono::seconds(1) || *timeout > std::chrono::minutes(10)) {
      section.problem("request_timeout", "'request_timeout' must be from 1s to 10m");
    }
    store.request_timeout = *timeout;
  }
  const auto same = [](const char* name) { return std::pair<std::string_view, std::string>(name, name); };
  if (const auto server = section.choice<std::string>("server", {same("auto"), same("aws"), same("minio"), same("rgw"), same("generic")})) {
    store.server = *server;
  }
  if (const auto in_flight = section.integer("in_flight", 1, 1024)) store.in_flight = static_cast<unsigned>(*in_flight);
}

// Runs `read(entry, mark)` for each entry of a mapping of named things.
template <class Read>
void read_named(const YamlNode* node, std::string_view key, Problems& problems, Read read) {
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::mapping) {
    problems.add(node->mark, format("'{}' must be a mapping from names to settings", key));
    return;
  }
  for (const YamlEntry& entry : node->entries) {
    check_name(entry.key, entry.mark, problems);
    read(entry);
  }
}

void read_store(const YamlEntry& entry, ReadContext& context) {
  Section section(entry.value, "a store", context.problems);
  StoreConfig store;
  store.name = entry.key;
  section.require("type");
  const auto kind = section.choice<StoreKind>("type", {{"directory", StoreKind::directory}, {"s3", StoreKind::s3}});
  if (kind) {
    store.kind = *kind;
    *kind == StoreKind::s3 ? read_s3_store(section, store.s3, context) : read_directory_store(section, store.directory, context);
    section.finish();  // without a type nobody knows which keys are right
  }
  context.draft.stores.push_back(entry.mark);
  context.draft.config.stores.push_back(std::move(store));
}

void read_sqlite(Section& section, DatabaseConfig& database, const ReadContext& context) {
  section.require("path");
  const auto written = section.text("path");
  if (written && (written->starts_with(":memory:") || written->starts_with("file:"))) {
    section.problem("path", "'path' must be the path of a SQLite file, not a URI or an in-memory database");
  } else if (const auto path = read_path(section, "path", context)) {
    database.path = *path;
  }
}

void read_postgresql(Section& section, DatabaseConfig& database, const ReadContext& context) {
  section.require("url");
  const std::vector<std::string> schemes = {"postgresql://", "postgres://"};
  if (const auto url = read_url(section, "url", schemes, "use password_file or password_env")) database.url = *url;
  database.primary_url = read_url(section, "primary_url", schemes, "use password_file or password_env");
  database.password = read_secret(section, "password", context);
  if (const auto readers = section.integer("readers", 1, 16)) database.readers = static_cast<std::size_t>(*readers);
}

void read_database(const YamlEntry& entry, ReadContext& context) {
  Section section(entry.value, "a database", context.problems);
  DatabaseConfig database;
  database.name = entry.key;
  section.require("type");
  const auto kind = section.choice<DatabaseKind>("type", {{"sqlite", DatabaseKind::sqlite}, {"postgresql", DatabaseKind::postgresql}});
  if (kind) {
    database.kind = *kind;
    *kind == DatabaseKind::postgresql ? read_postgresql(section, database, context) : read_sqlite(section, database, context);
    section.finish();
  }
  context.draft.databases.push_back(entry.mark);
  context.draft.config.databases.push_back(std::move(database));
}

}  // namespace

std::optional<std::filesystem::path> read_path(Section& section, std::string_view key, const ReadContext& context) {
  const auto text = section.text(key);
  if (!text) return std::nullopt;
  if (text->starts_with("~")) {
    section.problem(key, format("'{}': '~' is not expanded; write the path out", key));
    return std::nullopt;
  }
  std::filesystem::path path = (context.base / *text).lexically_normal();
  return path.has_filename() ? path : path.parent_path();  // "media/" is "media"
}

SecretPlace read_secret(Section& section, std::string_view name, const ReadContext& context) {
  const std::string env_key = format("{}_env", name);
  const std::string file_key = format("{}_file", name);
  SecretPlace secret;
  secret.environment = section.text(env_key);
  secret.file = read_path(section, file_key, context);
  // The value of a wrong one is not repeated: it may be the secret itself.
  if (secret.environment && !is_variable_name(*secret.environment)) {
    section.problem(env_key, format("'{}' must be the name of an environment variable: letters, digits and '_'", env_key));
  }
  if (section.has(env_key) && section.has(file_key)) {
    section.problem(file_key, format("'{}' and '{}' exclude each other; give one", env_key, file_key));
  }
  return secret;
}

bool check_name(std::string_view name, YamlMark mark, Problems& problems) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (name.empty()) {
    problems.add(mark, "a name cannot be empty");
  } else if (name == "." || name == ".." || name.find('/') != std::string_view::npos || std::ranges::any_of(name, is_control)) {
    problems.add(mark, format("'{}' cannot be a name: no '/', no control characters, not '.' or '..'", printable(name)));
  } else if (name.size() > kMaxName) {
    problems.add(mark, format("a name has at most {} bytes, this one {}", kMaxName, name.size()));
  } else {
    return true;
  }
  return false;
}

bool holds_password(std::string_view url) {
  std::string lower(url);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower.find("password=") != std::string::npos || lower.find("passwd=") != std::string::npos) return true;
  const std::size_t scheme = lower.find("://");
  const std::size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  // A password may hold any of "/?#" by mistake, so the last '@' counts, wherever it stands.
  const std::size_t at = lower.rfind('@');
  return at != std::string::npos && at >= begin && lower.substr(begin, at - begin).find(':') != std::string::npos;
}

Draft read_draft(const YamlNode& root, const std::filesystem::path& base, Problems& problems) {
  Draft draft;
  ReadContext context{base, draft, problems};
  Section section(root, "the configuration", problems);
  section.require("stores");
  section.require("buckets");
  read_named(section.find("stores"), "stores", problems, [&](const YamlEntry& entry) { read_store(entry, context); });
  read_named(section.find("databases"), "databases", problems, [&](const YamlEntry& entry) { read_database(entry, context); });
  const YamlNode* const defaults = section.find("defaults");
  read_buckets(section.find("buckets"), defaults, context);
  read_service(section, context);
  section.finish();
  return draft;
}

}  // namespace heimdall
