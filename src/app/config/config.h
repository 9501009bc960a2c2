#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/environment.h"
#include "base/error.h"
#include "base/secret_place.h"
#include "model/health.h"
#include "model/policy.h"
#include "schedule/timing.h"

namespace heimdall {

enum class StoreKind { directory, s3 };
// What dates the objects of a directory: the later of mtime and ctime, or mtime alone.
enum class DirectoryAge { change, modification };

struct DirectoryStoreConfig {
  std::filesystem::path path;  // absolute
  DirectoryAge age = DirectoryAge::change;
};

struct S3StoreConfig {
  std::string endpoint;
  std::string region = "us-east-1";
  std::optional<bool> path_style;
  std::optional<std::string> profile;  // of the AWS chain
  SecretPlace access_key, secret_key;
  SecretPlace delete_access_key, delete_secret_key;  // the sweep's own; planning never sees them
  std::optional<std::filesystem::path> ca_file;       // absolute; else the system's
  std::chrono::milliseconds request_timeout = std::chrono::seconds(20);
  std::string server = "auto";        // or aws, minio, rgw, generic: how it is listed
  std::optional<unsigned> in_flight;  // list requests at one time; unset: as many as bring the most
};

struct StoreConfig {
  std::string name;
  StoreKind kind = StoreKind::directory;
  DirectoryStoreConfig directory;
  S3StoreConfig s3;
};

enum class DatabaseKind { sqlite, postgresql };

struct DatabaseConfig {
  std::string name;
  DatabaseKind kind = DatabaseKind::sqlite;
  std::filesystem::path path;  // sqlite; absolute
  std::string url;             // postgresql; never holds a password
  std::optional<std::string> primary_url;
  SecretPlace password;
  std::optional<std::size_t> readers;  // postgresql: connections that read one large table; unset: as suits the server
};

enum class ReferenceKind { query, column, list };

// Where the rows of one reference come from. How they are mapped and judged is its SourcePolicy.
struct ReferenceConfig {
  ReferenceKind kind = ReferenceKind::query;
  std::string database;                // query, column: names a DatabaseConfig
  std::string query;                   // query
  std::string table, column;           // column; `table` may be "schema.table"
  std::optional<std::string> json;     // query, column: "values" or an SQL/JSON path that begins with "$"
  std::optional<std::string> recheck;  // query, column: a query with $1
  std::filesystem::path list;          // list: absolute, or "-" for stdin
  enum class LineEnd { newline, null } line_end = LineEnd::newline;
  std::optional<Timestamp> taken_at;  // list: when it was made; else the file's time
  bool is_stdin() const { return kind == ReferenceKind::list && list == "-"; }
};

struct BucketConfig {
  BucketPolicy policy;  // complete: mapping rules with the names of the other buckets, digest
  std::string store;    // names a StoreConfig
  std::string description;
  std::vector<ReferenceConfig> references;  // references[i] feeds policy.sources[i]
};

enum class ScheduledTask { cleanup, stats };
std::string_view to_string(ScheduledTask task);

struct ScheduleConfig {
  std::string name;
  ScheduledTask task = ScheduledTask::cleanup;
  Timing timing;                        // `cron` in `time_zone` (default UTC), or `every`
  std::vector<std::string> buckets;     // none: all
  std::chrono::milliseconds jitter{0};  // each run is late by a random part of this; at most a day, and less than the time between two runs
  unsigned retries = 3;                 // at most 3
};

struct HttpConfig {
  std::string listen = "127.0.0.1:8001";
  SecretPlace token;  // without one nothing can be changed over HTTP
};

struct EventsConfig {
  std::string database;
  std::chrono::milliseconds delay = std::chrono::minutes(15);
  bool notify = false;
  std::optional<std::uint64_t> max_deletes_per_hour;
};

struct Config {
  std::filesystem::path path;   // the file, as it was named
  std::filesystem::path state;  // absolute
  std::vector<StoreConfig> stores;
  std::vector<DatabaseConfig> databases;
  std::vector<BucketConfig> buckets;
  std::vector<ScheduleConfig> schedules;
  std::optional<HttpConfig> http;  // `serve` listens on the default without it
  HealthThresholds health;         // `health: {warning_ratio: 0.10, critical_ratio: 0.25}`
  std::chrono::milliseconds keep_runs = std::chrono::hours(24 * 90);  // `state: {keep_runs: 90d}`: finished runs and their journal stay this long
  std::optional<EventsConfig> events;

  // nullptr if there is none of that name. The names inside a loaded Config all resolve.
  const StoreConfig* find_store(std::string_view name) const;
  const DatabaseConfig* find_database(std::string_view name) const;
  const BucketConfig* find_bucket(std::string_view name) const;  // by name, not by alias
};

Environment process_environment();

// Which file to load: `flag` (--config), else $HEIMDALL_STORAGE_CONFIG, else the first of `places` that exists.
// A named file is not looked at: load_config() tells whether it can be read. not_found says what to write where.
Result<std::filesystem::path> find_config(const std::optional<std::string>& flag, const Environment& environment);
Result<std::filesystem::path> find_config(const std::optional<std::string>& flag, const Environment& environment,
                                          std::span<const std::filesystem::path> places);

// Reads, checks and completes the configuration. Contacts nothing. $HEIMDALL_STORAGE_STATE replaces `state: {path}`.
//
// Returns invalid_argument with all that is wrong, a line "file:line:column: message" each, in the order of the file; not_found,
// permission_denied or internal if the file cannot be read. No message holds a secret.
Result<Config> load_config(const std::filesystem::path& path, const Environment& environment);
// The same for a text in hand; `path` names it and is the base of relative paths.
Result<Config> parse_config(std::string_view text, const std::filesystem::path& path, const Environment& environment);

// Where the service listens (`http: {listen}`, `--listen`): "host:port", "[v6]:port"; port 0 takes any. Resolves no name. invalid_argument says what is allowed.
Result<void> check_listen_address(std::string_view address);

// Replaces the state directory (`--state`), relative to the working directory. invalid_argument if it lies in a part of a store
// where it would be taken for orphans.
Result<void> use_state_directory(Config& config, const std::filesystem::path& state);

}  // namespace heimdall
