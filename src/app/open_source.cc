#include "app/open_source.h"

#include "base/format.h"
#include "io/file.h"
#include "refs/list_source.h"
#include "refs/postgres/postgres_source.h"
#include "refs/sqlite_source.h"

namespace heimdall {

namespace {

// The secret itself, or nullopt where none is configured. Never repeated in a message.
Result<std::optional<std::string>> look_up(const SecretPlace& secret, const Environment& environment) {
  if (secret.environment) {
    auto value = environment(*secret.environment);
    if (value && !value->empty()) return value;
    return Error{ErrorCode::permission_denied, format("the environment variable {}, which should hold the password, is not set", *secret.environment),
                 "set it for this process, or name a file with password_file"};
  }
  if (!secret.file) return std::optional<std::string>();
  auto read = read_whole_file(*secret.file, "password file");
  if (!read) {
    Error error = std::move(read).error();
    if (error.code == ErrorCode::not_found) error.code = ErrorCode::permission_denied;  // no dependency is missing, but the right to use one
    return error;
  }
  std::string text = *std::move(read);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return std::optional(std::move(text));
}

std::unique_ptr<ReferenceSource> open_list(const ReferenceConfig& reference, Clock& clock) {
  ListSourceOptions options;
  options.path = reference.list;
  options.separator = reference.line_end == ReferenceConfig::LineEnd::null ? ListSeparator::nul : ListSeparator::newline;
  options.taken_at = reference.taken_at;
  return std::make_unique<ListSource>(std::move(options), clock);
}

// What both kinds of database share.
template <class Options>
Result<Options> rows_of(const ReferenceConfig& reference) {
  Options options;
  options.query = reference.query;
  options.table = reference.table;
  options.column = reference.column;
  if (reference.json) {
    TRY_ASSIGN(options.json, JsonSelector::parse(*reference.json));
  }
  return options;
}

Result<std::unique_ptr<ReferenceSource>> open_sqlite(const DatabaseConfig& database, const ReferenceConfig& reference, Clock& clock) {
  TRY_ASSIGN(auto options, rows_of<SqliteSourceOptions>(reference));
  options.path = database.path;
  return std::unique_ptr<ReferenceSource>(std::make_unique<SqliteSource>(std::move(options), clock));
}

Result<std::unique_ptr<ReferenceSource>> open_postgres(const DatabaseConfig& database, const ReferenceConfig& reference, Clock& clock) {
  TRY_ASSIGN(auto options, rows_of<PostgresSourceOptions>(reference));
  options.url = database.url;
  options.primary_url = database.primary_url;
  options.recheck = reference.recheck;
  options.readers = database.readers;
  options.password = [secret = database.password] { return look_up(secret, process_environment()); };
  return std::unique_ptr<ReferenceSource>(std::make_unique<PostgresSource>(std::move(options), clock));
}

}  // namespace

Result<std::unique_ptr<ReferenceSource>> open_source(const Config& config, const ReferenceConfig& reference, Clock& clock) {
  if (reference.kind == ReferenceKind::list) return open_list(reference, clock);
  const DatabaseConfig& database = *config.find_database(reference.database);
  return database.kind == DatabaseKind::postgresql ? open_postgres(database, reference, clock) : open_sqlite(database, reference, clock);
}

}  // namespace heimdall
