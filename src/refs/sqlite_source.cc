#include "refs/sqlite_source.h"

#include <algorithm>
#include <cctype>
#include <unordered_set>
#include <vector>

#include "base/format.h"
#include "refs/row_batch.h"
#include "refs/sql_text.h"

namespace heimdall {

namespace {

constexpr std::size_t kValuesPerLookup = 500;  // two parameters each; SQLite takes 32766
constexpr std::chrono::milliseconds kPollInterval{50};
constexpr std::chrono::milliseconds kPingTimeout{5000};

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

// The texts behind the query: its own and those of the views it reads.
Result<std::vector<std::string>> texts_behind(sqlite::Database& db, std::string_view sql,
                                              const std::vector<std::string>& relations) {
  std::vector<std::string> texts = {std::string(sql)};
  TRY_ASSIGN(auto views, db.prepare("SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ?1 COLLATE NOCASE"));
  for (const std::string& relation : relations) {
    views.reset();
    views.bind_text(1, relation);
    TRY_ASSIGN(const bool found, views.step());
    if (found) texts.emplace_back(views.bytes(0));
  }
  return texts;
}

// The lines of EXPLAIN QUERY PLAN.
Result<std::vector<std::string>> plan_of(sqlite::Database& db, const std::string& sql) {
  std::vector<std::string> lines;
  TRY_ASSIGN(auto plan, db.prepare("EXPLAIN QUERY PLAN " + sql));
  for (;;) {
    TRY_ASSIGN(const bool row, plan.step());
    if (!row) return lines;
    lines.emplace_back(plan.bytes(3));
  }
}

// The rows of `query` whose value is one of `count`, each bound as text and as blob: 'a' and x'61' are not equal to SQLite.
std::string lookup_sql(std::string_view query, std::size_t count) {
  std::string sql = format("WITH heimdall_storage_source(ref) AS (\n{}\n) SELECT ref FROM heimdall_storage_source WHERE ref IN (", query);
  for (std::size_t i = 1; i <= 2 * count; ++i) sql += format("{}?{}", i > 1 ? "," : "", i);
  return sql + ")";
}

// The affinity rules of https://www.sqlite.org/datatype3.html section 3.1: such a column holds text, blobs and NULL only.
bool has_text_affinity(const std::string& declared_type) {
  const std::string type = upper(declared_type);
  const auto holds = [&](const char* word) { return type.find(word) != std::string::npos; };
  return !holds("INT") && (holds("CHAR") || holds("CLOB") || holds("TEXT"));
}

Error cancelled(const SqliteFile& file) {
  return Error{ErrorCode::cancelled, format("reading '{}' was stopped", file.real_path.string())};
}

}  // namespace

// One connection inside its read transaction, and what was learned when that began.
struct SqliteSource::Snapshot {
  SqliteFile file;
  sqlite::Database db;
  std::vector<std::string> texts;
  ReadSummary summary;
};

struct SqliteSource::Query {
  sqlite::Statement statement;
  int key = 0;
  std::optional<int> bucket;
};

SqliteSource::SqliteSource(SqliteSourceOptions options, Clock& clock) : options_(std::move(options)), clock_(clock) {
  if (!options_.query.empty()) {
    sql_ = first_statement(options_.query);
  } else {  // with its table's name in front, SQLite cannot take a missing column for a string
    sql_ = format("SELECT source.{} FROM {} AS source", quoted_name(options_.column), quoted_name(options_.table));
  }
}

// Says which file, and what the codes of SQLite mean here.
Error SqliteSource::explained(Error error, const SqliteFile& file) const {
  const std::string name = file.real_path.string();
  if (error.code == ErrorCode::unavailable) {
    const auto writer = look_for_writer(file);
    if (writer && writer->writing && writer->pid > 0) {
      error.message += format(" (process {} has a write transaction open)", writer->pid);
    }
  } else if (error.code == ErrorCode::not_found || error.code == ErrorCode::permission_denied) {
    // The file was there a moment ago: what cannot be opened is the file itself, or its -wal, -shm or hot -journal.
    error.code = ErrorCode::permission_denied;
    error.hint = format("let this user read '{0}' and write in its directory (SQLite keeps '{0}-wal' and '{0}-shm' there), or "
                        "have a program that may do so open the database once", name);
  } else if (error.code == ErrorCode::invalid_argument && error.hint.empty()) {
    error.hint = options_.query.empty()
                     ? format("check `table: {}` and `column: {}` of this reference, and the database's path", options_.table, options_.column)
                     : "check this reference's query, and the database's path; names go into double quotes, text into single ones";
  }
  return with_context(std::move(error), format("the database '{}'", name));
}

// Opens the file and makes its read transaction real: BEGIN alone takes no snapshot, the first read does.
Result<sqlite::Database> SqliteSource::begin(const SqliteFile& file, std::chrono::milliseconds busy_timeout, std::stop_token stop) {
  TRY_ASSIGN(auto db, sqlite::Database::open(file.real_path, sqlite::OpenMode::read_only, busy_timeout));
  db.refuse_double_quoted_strings();
  db.set_stop(std::move(stop));
  TRY(db.execute("BEGIN"));
  TRY_ASSIGN(auto first, db.prepare("SELECT count(*) FROM sqlite_schema"));
  TRY(first.step());
  return db;
}

Result<void> SqliteSource::ping(const std::stop_token& stop) {
  TRY_ASSIGN(const SqliteFile file, locate_sqlite_file(options_.path));
  auto db = begin(file, std::min(options_.busy_timeout, kPingTimeout), stop);
  if (!db) return explained(std::move(db).error(), file);
  return {};
}

// Before SQLite gets to see the query: some pragmas act while they are compiled.
Result<void> SqliteSource::check_verb(const SqliteFile& file) const {
  const auto tokens = sql_tokens(sql_);
  const std::string verb = tokens.empty() ? "" : upper(std::string(tokens.front().text));
  if (verb == "SELECT" || verb == "WITH" || verb == "VALUES") return {};
  return explained(Error{ErrorCode::invalid_argument, tokens.empty() ? "the query is empty" : format("the query begins with '{}'", verb),
                         "a reference is one SELECT, WITH or VALUES"}, file);
}

Result<SqliteSource::Snapshot> SqliteSource::open_snapshot(std::stop_token stop) {
  TRY_ASSIGN(const SqliteFile file, locate_sqlite_file(options_.path));
  TRY(check_verb(file));
  auto db = begin(file, options_.busy_timeout, std::move(stop));
  if (!db) return explained(std::move(db).error(), file);
  // Right after the snapshot: whoever was writing when it was taken, and has not committed since, is still writing now.
  TRY_ASSIGN(const SqliteWriter writer, look_for_writer(file));
  const auto now = locate_sqlite_file(options_.path);
  if (!now || *now != file) {
    return Error{ErrorCode::failed_precondition, format("the database '{}' was replaced while it was opened", options_.path.string()),
                 "run the command again"};
  }
  Snapshot snapshot{file, std::move(*db), {}, {}};
  snapshot.summary.writers = mark_of(writer);

  auto relations = snapshot.db.relations_of(sql_);
  if (!relations) return explained(std::move(relations).error(), file);
  SourceIdentity& identity = snapshot.summary.identity;
  identity.database = format("sqlite:{}#{}", file.real_path.string(), file.inode);
  for (const std::string& relation : *relations) identity.relations += (identity.relations.empty() ? "" : ",") + relation;

  auto texts = texts_behind(snapshot.db, sql_, *relations);
  if (!texts) return explained(std::move(texts).error(), file);
  snapshot.texts = std::move(*texts);
  for (std::size_t i = 0; i < snapshot.texts.size(); ++i) {
    if (has_keyword(snapshot.texts[i], "LIMIT")) {
      snapshot.summary.partial = i == 0 ? "LIMIT in the query" : "LIMIT in a view behind the query";
    }
  }
  return snapshot;
}

Result<SqliteSource::Query> SqliteSource::prepare(Snapshot& snapshot) {
  const auto refused = [&](std::string why, std::string hint) {
    return explained(Error{ErrorCode::invalid_argument, std::move(why), std::move(hint)}, snapshot.file);
  };
  // The text as it was given: a second statement must be seen.
  const std::string text = options_.query.empty() ? sql_ : options_.query;
  auto statement = snapshot.db.prepare(text);
  if (!statement) return explained(std::move(statement).error(), snapshot.file);
  Query query{std::move(*statement), 0, std::nullopt};
  const int columns = query.statement.column_count();
  if (!query.statement.is_read_only() || columns == 0) {
    return refused("the query does not only read", "a reference is one SELECT, WITH or VALUES");
  }
  if (query.statement.parameter_count() > 0) {
    return refused("the query has a parameter, which would be NULL", "write the value into the query");
  }
  if (columns == 1) return query;
  const auto name = [&](int column) { return upper(query.statement.column_name(column)); };
  if (columns == 2 && name(0) == "KEY" && name(1) == "BUCKET") {
    query.bucket = 1;
  } else if (columns == 2 && name(0) == "BUCKET" && name(1) == "KEY") {
    query.key = 1;
    query.bucket = 0;
  } else {
    return refused(format("the query yields {} columns, and not the ones that are expected", columns),
                   "select one column, or two named key and bucket (SELECT path AS key, store AS bucket ...)");
  }
  return query;
}

Result<SourceIdentity> SqliteSource::identity() {
  TRY_ASSIGN(Snapshot snapshot, open_snapshot({}));
  TRY(prepare(snapshot));
  return std::move(snapshot.summary.identity);
}

Result<ReadSummary> SqliteSource::read(RowSink& sink, std::stop_token stop) {
  TRY_ASSIGN(Snapshot snapshot, open_snapshot(stop));
  TRY_ASSIGN(Query query, prepare(snapshot));
  RowBatch batch(sink);
  for (;;) {
    if (stop.stop_requested()) return cancelled(snapshot.file);
    auto row = query.statement.step();
    if (!row) return explained(std::move(row).error(), snapshot.file);
    if (!*row) break;  // SQLite said that this was the end
    const std::string_view value = query.statement.bytes(query.key);
    std::optional<std::string_view> bucket;
    if (query.bucket) bucket = query.statement.bytes(*query.bucket);
    if (!options_.json || value.empty()) {
      TRY(batch.add(value, bucket));
      continue;
    }
    Result<void> added;
    const auto walked = options_.json->strings(value, [&](std::string_view text) { return added = batch.add(text, bucket); });
    TRY(added);
    if (!walked) return explained(walked.error(), snapshot.file);
  }
  TRY(batch.flush());
  snapshot.summary.rows = batch.rows();
  return std::move(snapshot.summary);
}

Result<bool> SqliteSource::can_look_up(Snapshot& snapshot, const Query& query) {
  if (options_.json || query.bucket) return false;
  if (!has_text_affinity(query.statement.declared_type(0))) return false;
  // Of a compound SELECT only the first part tells its type.
  for (const std::string& text : snapshot.texts) {
    for (const char* word : {"UNION", "EXCEPT", "INTERSECT"}) {
      if (has_keyword(text, word)) return false;
    }
  }
  // In UTF-16, text that is not well-formed does not survive the way there and back.
  TRY_ASSIGN(auto encoding, snapshot.db.prepare("PRAGMA encoding"));
  TRY_ASSIGN(const bool told, encoding.step());
  return told && encoding.bytes(0) == "UTF-8";
}

Result<LookupCost> SqliteSource::lookup_cost() {
  TRY_ASSIGN(Snapshot snapshot, open_snapshot({}));
  TRY_ASSIGN(const Query query, prepare(snapshot));
  TRY_ASSIGN(const bool possible, can_look_up(snapshot, query));
  if (!possible) return LookupCost::unsupported;
  const auto whole = plan_of(snapshot.db, sql_);
  const auto narrowed = plan_of(snapshot.db, lookup_sql(sql_, kValuesPerLookup));
  if (!whole || !narrowed) return LookupCost::unsupported;
  // Indexed means that the looked-up value itself leads to the rows: a SEARCH that the plain query does not have. An automatic
  // index is one that SQLite builds for this statement, by reading everything.
  bool searches = false;
  for (const std::string& line : *narrowed) {
    const bool scans = line.starts_with("SCAN") && !line.starts_with("SCAN CONSTANT ROW");
    if (scans || line.find("AUTOMATIC") != std::string::npos) return LookupCost::full_scan;
    if (line.starts_with("SEARCH") && std::ranges::find(*whole, line) == whole->end()) searches = true;
  }
  return searches ? LookupCost::indexed : LookupCost::full_scan;
}

Result<ReadSummary> SqliteSource::lookup(std::span<const std::string> values, RowSink& sink, std::stop_token stop) {
  TRY_ASSIGN(Snapshot snapshot, open_snapshot(stop));
  TRY_ASSIGN(const Query query, prepare(snapshot));
  TRY_ASSIGN(const bool possible, can_look_up(snapshot, query));
  if (!possible) {
    return Error{ErrorCode::failed_precondition, format("single values cannot be looked up in '{}'", options_.path.string()),
                 "read the source as a whole"};
  }
  const std::unordered_set<std::string_view> wanted(values.begin(), values.end());
  RowBatch batch(sink);
  for (std::size_t done = 0; done < values.size(); done += kValuesPerLookup) {
    const auto chunk = values.subspan(done, std::min(kValuesPerLookup, values.size() - done));
    auto statement = snapshot.db.prepare(lookup_sql(sql_, chunk.size()));
    if (!statement) return explained(std::move(statement).error(), snapshot.file);
    int parameter = 0;
    for (const std::string& value : chunk) {
      statement->bind_text(++parameter, value);
      statement->bind_blob(++parameter, value);
    }
    for (;;) {
      if (stop.stop_requested()) return cancelled(snapshot.file);
      auto row = statement->step();
      if (!row) return explained(std::move(row).error(), snapshot.file);
      if (!*row) break;
      const std::string_view value = statement->bytes(0);
      if (wanted.contains(value)) TRY(batch.add(value));  // a collation (NOCASE) finds more than was asked for
    }
  }
  TRY(batch.flush());
  snapshot.summary.rows = batch.rows();
  return std::move(snapshot.summary);
}

Result<void> SqliteSource::wait_for_writers(const WriterMark& mark, std::chrono::milliseconds patience, std::stop_token stop) {
  if (mark.text.empty()) return {};
  const BootTime deadline = clock_.boot_now() + patience;
  for (;;) {
    TRY_ASSIGN(const SqliteFile file, locate_sqlite_file(options_.path));
    TRY_ASSIGN(const SqliteWriter writer, look_for_writer(file));
    if (mark_of(writer).text != mark.text) return {};
    if (stop.stop_requested()) return cancelled(file);
    if (clock_.boot_now() >= deadline) {
      const std::string who = writer.pid > 0 ? format("process {}", writer.pid) : std::string("a process that cannot be seen from here");
      return Error{ErrorCode::failed_precondition,
                   format("{} has had a write transaction open on '{}' since before the references were read", who, file.real_path.string()),
                   "let it commit or end it, then run the command again; what was not deleted is left to the next run"};
    }
    clock_.sleep_for(kPollInterval, stop);
  }
}

}  // namespace heimdall
