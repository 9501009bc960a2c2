#include "app/open_source.h"

#include <utility>

#include "app/look_up_secret.h"
#include "base/format.h"
#include "refs/list_source.h"
#include "refs/postgres/postgres_source.h"
#include "refs/sqlite_source.h"

namespace heimdall {

namespace {

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

Result<std::unique_ptr<ReferenceSource>> open_postgres(const DatabaseConfig& database, const ReferenceConfig& reference, Clock& clock,
                                                       std::stop_token stop) {
  TRY_ASSIGN(auto options, rows_of<PostgresSourceOptions>(reference));
  options.url = database.url;
  options.primary_url = database.primary_url;
  options.recheck = reference.recheck;
  options.readers = database.readers;
  options.stop = std::move(stop);
  options.password = [secret = database.password] { return look_up_secret(secret, "password", process_environment()); };
  return std::unique_ptr<ReferenceSource>(std::make_unique<PostgresSource>(std::move(options), clock));
}

}  // namespace

Result<std::unique_ptr<ReferenceSource>> open_source(const Config& config, const ReferenceConfig& reference, Clock& clock, std::stop_token stop) {
  if (reference.kind == ReferenceKind::list) return open_list(reference, clock);
  const DatabaseConfig& database = *config.find_database(reference.database);
  return database.kind == DatabaseKind::postgresql ? open_postgres(database, reference, clock, std::move(stop))
                                                   : open_sqlite(database, reference, clock);
}

}  // namespace heimdall
